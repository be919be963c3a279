internal import ArgumentParser
internal import ReimageCore
internal import ReimageSystem

/// Flags that people type from `qemu-img convert`: mapped to what they mean here, or refused with the reason.
struct PeerOptions: ParsableArguments {
    @Flag(name: .customShort("c"), help: "Compress the target, in a format that can.")
    var compress = false

    @Option(
        name: .customShort("b"),
        help: ArgumentHelp("The target's backing file, in a format that has one.", valueName: "FILE"))
    var backingFile: String?

    @Option(name: .customShort("F"), help: ArgumentHelp("The backing file's format.", valueName: "FORMAT"))
    var backingFormat: FormatName?

    @Option(name: .customShort("m"), help: .hidden)
    var coroutines: Int?

    @Flag(name: .customShort("W"), help: .hidden)
    var outOfOrder = false

    @Option(
        name: .customShort("t"),
        help: ArgumentHelp(
            "How the target is written: none, directsync (past the page cache), writeback, writethrough, unsafe (through it).",
            valueName: "CACHE"))
    var targetCacheName: CacheName?

    @Option(
        name: .customShort("T"), help: ArgumentHelp("How the source is read, by the same names.", valueName: "CACHE"))
    var sourceCacheName: CacheName?

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @Flag(help: .hidden)
    var salvage = false

    @Flag(help: .hidden)
    var bitmaps = false

    /// qemu's names of cache modes.
    enum CacheName: String, ExpressibleByArgument, CaseIterable {
        case none, directsync, writeback, writethrough, unsafe

        var policy: CachePolicy { self == .none || self == .directsync ? .direct : .cached }
    }

    var targetCache: CachePolicy { targetCacheName?.policy ?? .direct }
    var sourceCache: CachePolicy { sourceCacheName?.policy ?? .cached }

    func refuseWhatIsMissing(in format: FormatName) throws {
        func refuse(_ what: String, _ advice: String? = nil) throws {
            throw ImageError(.unsupported, what, advice: advice)
        }
        if compress {
            try refuse(
                "-c: a \(format) image cannot be compressed", "Pipe it: reimage convert SOURCE - | zstd > disk.raw.zst")
        }
        if backingFile != nil || backingFormat != nil { try refuse("-b and -F: a \(format) image has no backing file") }
        if salvage {
            try refuse(
                "--salvage: reimage does not put zeros where the source cannot be read",
                "Repair or copy the source first.")
        }
        if bitmaps { try refuse("--bitmaps: dirty bitmaps are not copied") }
    }
}

/// `-o` as qemu-img takes it: `k=v,k=v`, a doubled comma for a comma in a value.
enum WriterOptionText {
    static func parse(_ texts: [String]) throws -> [String: String] {
        var options: [String: String] = [:]
        for part in texts.flatMap(split) where !part.isEmpty {
            guard let equals = part.firstIndex(of: "=") else {
                throw ValidationError("-o takes name=value; '\(part)' has no value.")
            }
            options[String(part[..<equals])] = String(part[part.index(after: equals)...])
        }
        return options
    }

    private static func split(_ text: String) -> [String] {
        var parts = [""]
        var rest = text[...]
        while let character = rest.popFirst() {
            if character != "," {
                parts[parts.count - 1].append(character)
            } else if rest.first == "," {
                rest.removeFirst()
                parts[parts.count - 1].append(",")
            } else {
                parts.append("")
            }
        }
        return parts
    }
}
