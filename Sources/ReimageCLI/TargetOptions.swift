internal import ArgumentParser
internal import Reimage
internal import ReimageCore

/// What every verb takes that lays out a new image.
struct TargetOptions: ParsableArguments {
    @Option(
        name: .customShort("o"),
        help: ArgumentHelp("Options of the target's format; 'help' lists them.", valueName: "K=V,…"))
    var options: [String] = []

    @Option(
        name: [.customShort("b"), .customShort("B"), .long],
        help: ArgumentHelp(
            "The image below the target, relative to the target's directory: only what differs from it is stored.",
            valueName: "FILE"))
    var backing: String?

    @Option(
        name: [.customShort("F"), .long], help: ArgumentHelp("The format of the image below.", valueName: "FORMAT"))
    var backingFormat: FormatName?

    @Option(
        help: ArgumentHelp(
            "A set of choices by name; the same as -o profile=NAME. For vhd: azure.", valueName: "NAME"))
    var profile: String?

    @Flag(help: "Let the file have holes where a format's readers may not like them; the same as -o sparse=on.")
    var sparse = false

    @Option(
        help: ArgumentHelp("Bytes of a chunk of an archive; the same as -o chunk_size=SIZE.", valueName: "SIZE"))
    var chunkSize: String?

    @Flag(help: "Store equal chunks of an archive again, so that it can be restored into a pipe; as -o dedup=off.")
    var noDedup = false

    @Flag(help: "Do not tell holes from zeros in an archive; the same as -o hole_info=off.")
    var noHoleInfo = false

    @Option(
        help: ArgumentHelp("Makes the number of a deterministic archive another; as -o seed=TEXT.", valueName: "TEXT"))
    var seed: String?

    @Flag(help: "Make the same bytes of the same disk at any time: without SOURCE_DATE_EPOCH, the time is 0.")
    var deterministic = false

    /// When the image is made, and its own number.
    func stamp() throws -> ImageStamp {
        let stamp = try SourceDate.stamp()
        return deterministic && !stamp.isDeterministic ? ImageStamp() : stamp
    }

    /// Whether the options are only to be listed.
    var asksForHelp: Bool { options.contains("help") }

    /// Whether an image below the target is named.
    func namesBacking() throws -> Bool {
        if let backing { return !backing.isEmpty }
        return try WriterOptionText.parse(options)["backing_file"]?.isEmpty == false
    }

    /// The options by name, without those that ``reference(in:)`` takes.
    func writerOptions(for format: FormatName) throws -> [String: String] {
        var values = try WriterOptionText.parse(options)
            .filter { $0.key != "backing_file" && $0.key != "backing_fmt" }
        let known = try FormatRegistry.standard.writableFormat(named: format).writerOptions ?? []
        var flags: [(flag: String, option: String, value: String)] = []
        if let profile { flags.append(("--profile", "profile", profile)) }
        if sparse { flags.append(("--sparse", "sparse", "on")) }
        if let chunkSize { flags.append(("--chunk-size", "chunk_size", chunkSize)) }
        if noDedup { flags.append(("--no-dedup", "dedup", "off")) }
        if noHoleInfo { flags.append(("--no-hole-info", "hole_info", "off")) }
        if let seed { flags.append(("--seed", "seed", seed)) }
        for (flag, option, value) in flags {
            guard known.contains(where: { $0.name == option }) else {
                throw ImageError(.unsupported, "\(flag): not for images of format \(format)")
            }
            if let other = values[option], other != value {
                throw ValidationError("\(flag) and -o \(option)=\(other) contradict each other.")
            }
            values[option] = value
        }
        return values
    }

    /// The image below, as `-b` and `-F` name it or as the options do.
    func reference(in format: FormatName) throws -> Reference? {
        let values = try WriterOptionText.parse(options)
        if let first = backing, let second = values["backing_file"], first != second {
            throw ValidationError("-b and -o backing_file name different files.")
        }
        let name = backing ?? values["backing_file"]
        let nameOfFormat = backingFormat ?? values["backing_fmt"].map { FormatName($0) }
        guard let name, !name.isEmpty else {
            guard nameOfFormat == nil else { throw ValidationError("-F goes with -b.") }
            return nil
        }
        let known = try FormatRegistry.standard.format(named: format).writerOptions ?? []
        guard known.contains(where: { $0.name == "backing_file" }) else {
            throw ImageError(.unsupported, "-b and -F: a \(format) image has no backing file")
        }
        let canonical = try nameOfFormat.map { try FormatRegistry.standard.format(named: $0).name }
        return Reference(role: "backing file", name: try Self.fileName(name), format: canonical)
    }

    /// The name to store: programs take what stands before a colon for a protocol.
    private static func fileName(_ name: String) throws -> String {
        let first = name.prefix { $0 != "/" }
        return first.contains(":") ? "./\(name)" : name
    }

    /// The format that a file's name says, else raw.
    static func format(ofFileName name: String) -> FormatName {
        guard let dot = name.lastIndex(of: "."), !name[dot...].contains("/") else { return .raw }
        let known = try? FormatRegistry.standard.format(named: FormatName(String(name[name.index(after: dot)...])))
        return known?.name ?? .raw
    }

    /// Prints the options of `name`.
    static func printHelp(for name: FormatName) throws {
        let format = try FormatRegistry.standard.writableFormat(named: name)
        Console.result("Options for \(format.name):")
        let options = format.writerOptions ?? []
        let width = options.map { $0.name.count + $0.values.count + 1 }.max() ?? 0
        for option in options {
            let text = "\(option.name)=\(option.values)"
            Console.result("  \(text)\(String(repeating: " ", count: width - text.count))  \(option.summary)")
        }
    }
}

/// How the target's data is compressed.
struct CompressionOptions: ParsableArguments {
    @Flag(name: [.customShort("c"), .long], help: "Compress the target, in a format that can.")
    var compress = false

    @Option(
        help: ArgumentHelp("How hard to compress: 1 (fastest) to 12 for zlib, 1 to 22 for zstd.", valueName: "N"))
    var level: Int?

    @Option(help: ArgumentHelp("How to compress, for instance zlib or zstd.", valueName: "NAME"))
    var codec: String?

    func validate() throws {
        guard compress || (level == nil && codec == nil) else {
            throw ValidationError("--level and --codec go with -c.")
        }
    }

    /// What the options ask of a target of `format`.
    func request(for format: FormatName) throws -> CompressionRequest? {
        guard compress else { return nil }
        guard format != .raw else {
            throw ImageError(
                .unsupported, "-c: a \(format) image cannot be compressed",
                advice: "Pipe it: reimage convert SOURCE - | zstd > disk.raw.zst")
        }
        return CompressionRequest(codec: codec.map { Codec($0.lowercased()) }, level: level)
    }
}
