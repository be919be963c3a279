internal import ArgumentParser
internal import ReimageCore
internal import ReimageDisks

/// What is put right in partition tables.
struct FixUpFlags: ParsableArguments {
    @Option(
        name: .customLong("fixups"),
        help: ArgumentHelp(
            "auto puts partition tables right for the disk's size and sectors; none copies every byte as it is."))
    var mode = Mode.auto

    @Flag(name: .customLong("new-ids"), help: "Give the disk and its partitions new ids.")
    var newIDs = false

    @Flag(help: "Enlarge the last partition up to the end of the disk.")
    var growLast = false

    @Option(
        help: ArgumentHelp(
            "The logical sector that the image's disk had, where the image does not show it.", valueName: "BYTES"),
        transform: parseSize)
    var imageSectorSize: ByteSize?

    enum Mode: String, ExpressibleByArgument, CaseIterable { case auto, none }

    func validate() throws {
        guard mode == .auto || !(newIDs || growLast) else {
            throw ValidationError("--new-ids and --grow-last change the partition table; --fixups none forbids that.")
        }
        guard imageSectorSize.map({ [512, 1024, 2048, 4096].contains($0.count) }) ?? true else {
            throw ValidationError("--image-sector-size takes 512, 1024, 2048 or 4096.")
        }
    }

    /// The options for the disk at `path`.
    func options(for path: String) -> FixUpOptions {
        FixUpOptions(
            isOff: mode == .none, newIDs: newIDs, growLast: growLast, targetPath: path,
            cancellation: Signals.cancellation)
    }

    /// What a restore that goes on must have had too.
    var text: String {
        "fixups \(mode.rawValue), new ids \(newIDs), grow last \(growLast), sector \(imageSectorSize?.count ?? 0)"
    }
}

extension FixUpPlan {
    /// Adds what is changed, and what should be known of it.
    func add(to fields: inout JSONFields) {
        let changes = changes.map { change in
            var fields = JSONFields()
            fields.add("kind", change.kind.rawValue)
            fields.add("message", change.message)
            fields.add("partition", change.partition)
            return fields
        }
        fields.add("fix-ups", changes)
        if !warnings.isEmpty { fields.add("warnings", warnings.map(\.text)) }
        if !advice.isEmpty { fields.add("advice", advice) }
    }
}
