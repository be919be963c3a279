internal import ArgumentParser
internal import Reimage
internal import ReimageCore

/// `reimage map`.
struct Map: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Lists which parts of a disk hold data, and where it is stored.",
        discussion: """
            EXAMPLES
              reimage map vm.qcow2
              reimage map --json vm.qcow2
              reimage map --start-offset 1G --max-length 1M vm.qcow2
            """)

    @Argument(help: "The image.")
    var image: String

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The image's format; found out otherwise.", valueName: "FORMAT"))
    var format: FormatName?

    @Option(help: ArgumentHelp("The internal snapshot to look at.", valueName: "NAME|ID"))
    var snapshot: String?

    @Option(
        name: [.customShort("s"), .long], help: ArgumentHelp("Where to begin.", valueName: "SIZE"), transform: parseSize
    )
    var startOffset = ByteSize(0)

    @Option(
        name: [.customShort("l"), .long], help: ArgumentHelp("How far to go.", valueName: "SIZE"), transform: parseSize)
    var maxLength: ByteSize?

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions

    func run() throws {
        let opened = try opening.opener().open(image, format: format, snapshot: snapshot)
        let disk = try opened.disk(for: "map")
        let printer: any MapPrinter = report.isJSON ? JSONMapPrinter() : TableMapPrinter(disk)
        printer.begin()
        var run: MapRun?
        var position = GuestOffset(min(startOffset.count, disk.byteCount))
        let end = GuestOffset(min(disk.byteCount, position.adding(maxLength?.count ?? .max)?.value ?? .max))
        while position < end {
            try Signals.cancellation.check()
            let extent = try disk.extent(at: position, limit: end - position, layers: .flattened, detail: .tables)
            let next = MapRun(position, extent)
            if let merged = run?.merged(with: next) {
                run = merged
            } else {
                if let run { try printer.add(run) }
                run = next
            }
            position += extent.count
        }
        if let run { try printer.add(run) }
        printer.end()
    }
}

/// One line of a map.
struct MapRun {
    let start: GuestOffset
    var extent: Extent

    init(_ start: GuestOffset, _ extent: Extent) {
        self.start = start
        self.extent = extent
    }

    /// Both runs as one, where they are of one kind and stored in one piece.
    func merged(with next: MapRun) -> MapRun? {
        guard extent.kind == next.extent.kind, extent.depth == next.extent.depth,
            extent.isHostHole == next.extent.isHostHole, (extent.stored == nil) == (next.extent.stored == nil)
        else { return nil }
        var whole = self
        if let mine = extent.stored, let other = next.extent.stored {
            guard mine.store == other.store, mine.codec == other.codec, mine.offset + mine.count == other.offset else {
                return nil
            }
            whole.extent.stored?.count += other.count
        }
        whole.extent.count += next.extent.count
        return whole
    }
}

/// Prints a map line by line, so that a long one takes no memory.
protocol MapPrinter {
    func begin()
    func add(_ run: MapRun) throws
    func end()
}

/// The fields of `qemu-img map --output=json`, and `compressed` besides.
private final class JSONMapPrinter: MapPrinter {
    private var isFirst = true

    func begin() { Console.write("[", to: 1) }

    func add(_ run: MapRun) throws {
        let extent = run.extent
        var fields = JSONFields()
        fields.add("start", run.start.value)
        fields.add("length", extent.count)
        fields.add("depth", extent.depth)
        fields.add("present", extent.kind != .hole)
        fields.add("zero", extent.kind.readsAsZero || extent.isHostHole)
        fields.add("data", extent.kind == .data)
        fields.add("compressed", extent.stored?.codec != nil)
        if extent.kind == .unreadable { fields.add("unreadable", true) }
        if let stored = extent.stored, stored.codec == nil { fields.add("offset", stored.offset.value) }
        Console.write(isFirst ? "" : ",\n", to: 1)
        isFirst = false
        Console.write(try jsonText(fields, pretty: false), to: 1)
    }

    func end() { Console.write("]\n", to: 1) }
}

/// The runs that hold data, with the file that stores them.
private struct TableMapPrinter: MapPrinter {
    private let names: [StoreID: String]

    init(_ disk: any BlockDevice) {
        names = Dictionary(disk.stores.map { ($0.id, $0.name) }) { first, _ in first }
    }

    func begin() { Console.result("Offset          Length          Mapped to       File") }

    func add(_ run: MapRun) {
        let extent = run.extent
        guard extent.kind == .data || extent.kind == .unreadable, !extent.isHostHole else { return }
        let place: String
        switch extent.stored {
        case let stored?: place = stored.codec.map { "(\($0))" } ?? hex(stored.offset.value)
        case nil: place = extent.kind == .unreadable ? "(unreadable)" : "(several)"
        }
        let name = extent.stored.flatMap { names[$0.store] } ?? ""
        Console.result("\(padded(hex(run.start.value)))\(padded(hex(extent.count)))\(padded(place))\(name.printable)")
    }

    func end() {}

    private func hex(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
    private func padded(_ text: String) -> String { text + String(repeating: " ", count: max(1, 16 - text.count)) }
}
