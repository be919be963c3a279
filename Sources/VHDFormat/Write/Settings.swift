internal import ReimageCore

/// What the image to be written is to be, from the plan and the options as the user gave them.
struct WriterSettings: Sendable {
    enum Subformat: String, CaseIterable { case dynamic, fixed }

    /// A set of choices by the name of who takes such images.
    enum Profile: String, CaseIterable { case azure }

    static let options = [
        WriterOption(
            "subformat", values: Subformat.allCases.map(\.rawValue).joined(separator: "|"),
            summary: "blocks are stored when they hold data, or all of the disk is (dynamic)"),
        WriterOption("block_size", values: "4k…256M", summary: "bytes of a block, a power of two (2M)"),
        WriterOption("force_size", values: "on", summary: "the disk keeps its exact size, as it always does (on)"),
        WriterOption("sparse", values: "on|off", summary: "let the file have holes, which Windows refuses (off)"),
        WriterOption(
            "profile", values: Profile.allCases.map(\.rawValue).joined(separator: "|"),
            summary: "what Azure takes: fixed, a whole number of MiB"),
        WriterOption("backing_file", values: "FILE", summary: "the parent, which is a VHD too; the same as -b"),
        WriterOption("backing_fmt", values: "vhd", summary: "its format; the same as -F"),
    ]

    /// The blocks that can be chosen; smaller ones would be lost in their bitmaps.
    private static let blockSizes: ClosedRange<UInt64> = 4096...UInt64(Layout.largestBlock)

    let kind: Footer.Kind
    let blockSize: UInt64
    /// How zeros are stored that are.
    let zeroMode: ZeroMode
    /// Whether zeros are stored that need not be.
    let storesZeros: Bool
    /// The run of zeros in data that is worth a hole in the file; `nil` where it has none.
    let holeGrain: Int?
    /// What the disk's length is rounded up to.
    let sizeUnit: UInt64
    /// Who wants that, where it is not the format.
    let profile: Profile?
    let parent: StoredParentNames?
    let stamp: ImageStamp

    /// - Throws: `.invalidArgument` for an option, a value or a combination that is none; `.unsupported` for what no VHD
    ///   can be.
    init(_ plan: WritePlan) throws(ImageError) {
        let values = try OptionValues(plan.options, known: Self.options, of: "vhd")
        if let name = ["backing_file", "backing_fmt"].first(where: { values[$0] != nil }) {
            throw ImageError(
                .invalidArgument, "\(name) is not taken as an option of the writer: the plan names what lies below")
        }
        guard plan.compression == nil else {
            throw ImageError(
                .unsupported, "a vhd image cannot be compressed", advice: "Leave -c away, or choose another format.")
        }
        if try values.flag("force_size") == false {
            throw ImageError(
                .invalidArgument,
                "force_size=off would round the disk's size to a geometry, and other bytes would be read than written",
                advice: "Leave it away: the size is always exact.")
        }
        profile = try values.choice("profile")
        let subformat: Subformat? = try values.choice("subformat")
        parent = try plan.backing.map { (backing) throws(ImageError) in
            try StoredParentNames(backing, plan.backingFacts, stamp: plan.stamp)
        }
        kind = try Self.kind(subformat, profile, hasParent: parent != nil)
        blockSize = try Self.blockSize(try values.size("block_size"), kind)
        let isSparse = try values.flag("sparse") ?? false
        let grain = plan.sparseGrain
        guard grain == 0 || grain >= 512 && grain & (grain - 1) == 0 else {
            throw ImageError(
                .invalidArgument, "a run of \(grain) zero bytes cannot be the smallest hole",
                advice: "Take a power of two of at least 512, or 0 for no holes.")
        }
        guard grain != 0 || !isSparse else {
            throw ImageError(
                .invalidArgument, "sparse=on makes holes, and -S 0 forbids them", advice: "Give one of them.")
        }
        storesZeros = grain == 0
        zeroMode = grain == 0 ? .written : isSparse ? .sparse : .allocated
        holeGrain = isSparse ? grain : nil
        sizeUnit = profile == .azure ? 1 << 20 : Geometry.sectorSize
        stamp = plan.stamp
    }

    /// See ``WriterNeeds/sharing``: of what stands before a parent every sector is compared, and `-S 0` wants space.
    var sharing: ZeroMode? { parent == nil && !storesZeros ? zeroMode : nil }

    private static func kind(
        _ subformat: Subformat?, _ profile: Profile?, hasParent: Bool
    ) throws(ImageError) -> Footer.Kind {
        if profile == .azure {
            guard subformat != .dynamic, !hasParent else {
                throw ImageError(
                    .invalidArgument, "Azure takes only fixed images", advice: "Leave profile=azure or the rest away.")
            }
            return .fixed
        }
        guard hasParent else { return subformat == .fixed ? .fixed : .dynamic }
        guard subformat != .fixed else {
            throw ImageError(
                .invalidArgument, "a fixed image has no parent", advice: "Leave subformat=fixed or the parent away.")
        }
        return .differencing
    }

    private static func blockSize(_ size: UInt64?, _ kind: Footer.Kind) throws(ImageError) -> UInt64 {
        guard let size else { return 2 << 20 }
        guard kind != .fixed else { throw ImageError(.invalidArgument, "block_size: a fixed image has no blocks") }
        guard blockSizes.contains(size), size & (size - 1) == 0 else {
            throw ImageError(.invalidArgument, "block_size=\(size) is no power of two from 4k to 256M")
        }
        return size
    }
}

// What the image says of its disk.
extension WriterSettings {
    /// The length that the image gives a disk of `byteCount` bytes.
    /// - Throws: `.unsupported` where no VHD has it.
    func size(ofDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
        guard byteCount > 0, let size = byteCount.roundedUp(to: sizeUnit), size <= Footer.mostBytes else {
            throw ImageError(
                .unsupported,
                "a disk of \(byteCount) bytes: a VHD has 512 to \(Footer.mostBytes) (\(Footer.mostBytes >> 30) GiB)",
                advice: byteCount == 0 ? nil : "Choose a format for larger disks, for instance qcow2.")
        }
        return size
    }

    /// What the user should know of that length.
    func remark(onSizeOfDisk byteCount: UInt64) -> String? {
        guard let size = try? size(ofDisk: byteCount), size != byteCount else { return nil }
        let reason =
            profile == .azure ? "whole MiB, as Azure wants them" : "whole sectors of 512 bytes, as a VHD has no others"
        return "the disk of \(byteCount) bytes is \(size) long in the image: zeros were added up to \(reason)."
    }

    /// The footer of an image of a disk of `size` bytes.
    ///
    /// The creator is Windows in the version of Windows 10: all programs take the size in bytes of its images, and none
    /// the geometry.
    func footer(size: UInt64, uniqueID: [UInt8]) -> Footer {
        var geometry = Geometry(forDisk: size)
        // A disk of less than a cylinder has one all the same, as its geometry must not be empty.
        geometry.cylinders = max(geometry.cylinders, 1)
        var footer = Footer(
            kind: kind, size: size, creator: .windows, creatorVersion: 0x000A_0000, geometry: geometry,
            timeStamp: Footer.timeStamp(ofUnixSeconds: stamp.seconds), uniqueID: uniqueID)
        if kind != .fixed { footer.dataOffset = UInt64(Footer.byteCount) }
        return footer
    }
}
