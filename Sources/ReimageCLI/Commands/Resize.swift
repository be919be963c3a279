internal import ArgumentParser
internal import Reimage
internal import ReimageCore

/// `reimage resize`.
struct Resize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resize",
        abstract: "Makes an image's disk longer or shorter, in place.",
        usage: "reimage resize [-f FORMAT] [--shrink] [--preallocation MODE] [-q] FILE [+|-]SIZE",
        discussion: """
            With + or - the size is a difference. What a disk gains reads as zeros. Partitions and file systems are not
            changed: before a disk is cut they must be made smaller by the system that owns them.

            EXAMPLES
              reimage resize vm.qcow2 40G
              reimage resize vm.qcow2 +10G
              reimage resize --shrink vm.qcow2 -10G
              reimage resize -f raw disk.img 2T
            """)

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The image's format; found out otherwise.", valueName: "FORMAT"))
    var format: FormatName?

    @Flag(help: "The disk may be cut; what lies behind its new end is lost.")
    var shrink = false

    @Option(
        help: ArgumentHelp("How new space is reserved: off, metadata (qcow2), falloc or full.", valueName: "MODE"))
    var preallocation: String?

    @Flag(name: [.short, .long], help: "Say nothing but errors.")
    var quiet = false

    // Everything that is no option, so that a size may begin with a minus.
    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("The image, and the new size of its disk: [+|-]SIZE.", valueName: "FILE SIZE"))
    var operands: [String] = []

    @OptionGroup var opening: OpeningOptions

    func validate() throws {
        let operands = self.operands.filter { $0 != "--" }
        if let option = operands.first(where: { $0.hasPrefix("-") && !SizeChange.looksRelative($0) }) {
            throw ValidationError("Unknown option '\(option)'.")
        }
        guard operands.count == 2 else { throw ValidationError("Give an image and a size, in this order.") }
        _ = try SizeChange(operands[1])
    }

    func run() throws {
        let operands = self.operands.filter { $0 != "--" }
        let change = try SizeChange(operands[1])
        let (format, target, context) = try opening.opener(isQuiet: quiet).openForUpdate(
            operands[0], format: format)
        guard format.name != .raw || self.format != nil else {
            throw ImageError(
                .refused, "no known format was found, and a file is not changed on the guess that it is a raw disk",
                file: operands[0], advice: "If it is one, pass -f raw.")
        }
        let request = ResizeRequest(
            byteCount: try change.applied(to: currentSize(format, target, context), of: operands[0]),
            allowsShrinking: shrink, preallocation: preallocation)
        do throws(ImageError) {
            try format.resize(target, request, context)
        } catch {
            throw error.inFile(operands[0])
        }
        if !quiet { Console.result("Image resized.") }
    }

    private func currentSize(
        _ format: any ImageFormat, _ target: UpdateTarget, _ context: OpenContext
    ) throws(ImageError) -> UInt64 {
        var alone = context
        alone.opensReferences = false
        alone.note = { _ in }
        do throws(ImageError) {
            guard let size = try format.open(target.source, alone).info().virtualSize else {
                throw ImageError(.unsupported, "the disk's length is not known")
            }
            return size
        } catch {
            throw error.inFile(target.store.name)
        }
    }
}

/// A new size, or what is added to the old or taken off it.
struct SizeChange: Equatable {
    enum Direction: Equatable { case to, up, down }

    var direction: Direction
    var count: UInt64

    init(_ text: String) throws {
        direction = text.hasPrefix("+") ? .up : text.hasPrefix("-") ? .down : .to
        count = try parseSize(direction == .to ? text : String(text.dropFirst())).count
    }

    /// Whether `text`, though it begins with a minus, is a size.
    static func looksRelative(_ text: String) -> Bool {
        text.dropFirst().first.map { $0.isASCII && ($0.isNumber || $0 == ".") } ?? false
    }

    /// The size that `old` becomes.
    func applied(to old: UInt64, of file: String) throws(ImageError) -> UInt64 {
        let (size, overflow): (UInt64, Bool) =
            switch direction {
            case .to: (count, false)
            case .up: old.addingReportingOverflow(count)
            case .down: old.subtractingReportingOverflow(count)
            }
        guard !overflow, size > 0 else {
            throw ImageError(
                .invalidArgument,
                "a disk of \(old) bytes cannot be made "
                    + (direction == .up
                        ? "\(count) bytes longer" : direction == .down ? "\(count) bytes shorter" : "empty"),
                file: file)
        }
        return size
    }
}
