internal import ReimageCore

/// The fixed part at the start of the file, decoded and bounded.
///
/// Every number here was checked against the format's limits: later arithmetic on them cannot overflow.
/// - Source: qcow2 specification, "Header" and "Additional fields".
struct Header: Sendable {
    /// Where the fields lie, in bytes from the start of the file.
    enum Field {
        static let magic = 0
        static let version = 4
        static let backingFileOffset = 8
        static let backingFileSize = 16
        static let clusterBits = 20
        static let size = 24
        static let cryptMethod = 32
        static let l1Size = 36
        static let l1TableOffset = 40
        static let refcountTableOffset = 48
        static let refcountTableClusters = 56
        static let snapshotCount = 60
        static let snapshotsOffset = 64
        static let incompatibleFeatures = 72
        static let compatibleFeatures = 80
        static let autoclearFeatures = 88
        static let refcountOrder = 96
        static let headerLength = 100
        static let compressionType = 104
    }

    /// `QFI` and 0xFB.
    static let magic: UInt32 = 0x5146_49FB
    /// The length of a version 2 header, which is also where version 3 goes on.
    static let version2Length = 72
    /// The least length of a version 3 header.
    static let version3Length = 104
    /// The bytes to read so that every known field is there.
    static let knownLength = 112
    /// The longest L1 table: 32 MiB of entries.
    static let mostL1Entries: UInt32 = 4 << 20
    /// The longest refcount table in bytes.
    static let longestRefcountTable: UInt64 = 8 << 20
    /// The most snapshots a table may hold.
    static let mostSnapshots: UInt32 = 65536
    /// The longest name of a backing file in bytes.
    static let longestBackingName: UInt32 = 1023
    /// No offset of a table or cluster has more bits: entries keep 9 to 55.
    static let offsetLimit: UInt64 = 1 << 56

    let version: UInt32
    let backingFileOffset: UInt64
    let backingFileSize: UInt32
    let clusterBits: Int
    let size: UInt64
    let cryptMethod: CryptMethod
    let l1Size: UInt32
    let l1TableOffset: UInt64
    let refcountTableOffset: UInt64
    let refcountTableClusters: UInt32
    let snapshotCount: UInt32
    let snapshotsOffset: UInt64
    let incompatible: IncompatibleFeatures
    let compatible: CompatibleFeatures
    let autoclear: AutoclearFeatures
    let refcountOrder: Int
    let length: Int
    let compressionType: UInt8

    /// The cluster in bytes.
    var clusterSize: UInt64 { 1 << UInt64(clusterBits) }

    /// Decodes the first bytes of a file; ``knownLength`` of them, or all where the file is shorter.
    /// - Throws: `.damaged` with the field's name and place, `.unsupported` for what is no qcow2 of version 2 or 3.
    init(decoding bytes: RawSpan) throws(ImageError) {
        guard bytes.byteCount >= 8, try bytes.big(UInt32.self, at: Field.magic) == Self.magic else {
            throw .damaged("magic is not that of a qcow2 image", at: HostOffset(0))
        }
        version = try bytes.big(at: Field.version)
        try Self.checkVersion(version)
        let needed = version == 2 ? Self.version2Length : Self.version3Length
        guard bytes.byteCount >= needed else {
            throw .damaged(
                "header: the file ends after \(bytes.byteCount) of \(needed) bytes", at: HostOffset(0),
                advice: "Is the file cut short?")
        }
        clusterBits = try Self.clusterBits(bytes)
        backingFileOffset = try bytes.big(at: Field.backingFileOffset)
        backingFileSize = try bytes.big(at: Field.backingFileSize)
        size = try bytes.big(at: Field.size)
        cryptMethod = try CryptMethod(number: try bytes.big(at: Field.cryptMethod))
        l1Size = try bytes.big(at: Field.l1Size)
        l1TableOffset = try bytes.big(at: Field.l1TableOffset)
        refcountTableOffset = try bytes.big(at: Field.refcountTableOffset)
        refcountTableClusters = try bytes.big(at: Field.refcountTableClusters)
        snapshotCount = try bytes.big(at: Field.snapshotCount)
        snapshotsOffset = try bytes.big(at: Field.snapshotsOffset)
        if version == 2 {
            incompatible = []
            compatible = []
            autoclear = []
            refcountOrder = 4
            length = Self.version2Length
            compressionType = 0
        } else {
            incompatible = IncompatibleFeatures(rawValue: try bytes.big(at: Field.incompatibleFeatures))
            compatible = CompatibleFeatures(rawValue: try bytes.big(at: Field.compatibleFeatures))
            autoclear = AutoclearFeatures(rawValue: try bytes.big(at: Field.autoclearFeatures))
            refcountOrder = Int(try bytes.big(UInt32.self, at: Field.refcountOrder))
            length = Int(try bytes.big(UInt32.self, at: Field.headerLength))
            compressionType = length > Field.compressionType ? try bytes.big(at: Field.compressionType) : 0
        }
        try checkLength()
        try checkTables()
        try checkBackingName()
    }

    private static func checkVersion(_ version: UInt32) throws(ImageError) {
        switch version {
        case 2, 3: return
        case 1:
            throw ImageError(
                .unsupported, "version 1: this is an image of the older format qcow, not qcow2",
                at: .host(HostOffset(UInt64(Field.version))),
                advice: "Convert it with: qemu-img convert -f qcow -O qcow2")
        default:
            throw ImageError(
                .unsupported, "version \(version) of qcow2 is not known", at: .host(HostOffset(UInt64(Field.version))))
        }
    }

    private static func clusterBits(_ bytes: RawSpan) throws(ImageError) -> Int {
        let bits = try bytes.big(UInt32.self, at: Field.clusterBits)
        guard (9...21).contains(bits) else {
            throw .damaged(
                "cluster_bits is \(bits), but clusters are 512 bytes (9) to 2 MiB (21)",
                at: HostOffset(UInt64(Field.clusterBits)))
        }
        return Int(bits)
    }
}

extension Header {
    private func damaged(_ message: String, _ field: Int) -> ImageError {
        .damaged(message, at: HostOffset(UInt64(field)))
    }

    private func checkLength() throws(ImageError) {
        guard version == 2 || length >= Self.version3Length else {
            throw damaged("header_length is \(length), less than \(Self.version3Length)", Field.headerLength)
        }
        guard UInt64(length) <= clusterSize else {
            throw damaged("header_length is \(length), more than a cluster (\(clusterSize))", Field.headerLength)
        }
        guard length % 8 == 0 else {
            throw damaged("header_length is \(length), not a multiple of 8", Field.headerLength)
        }
        guard refcountOrder <= 6 else {
            throw damaged("refcount_order is \(refcountOrder), more than 6", Field.refcountOrder)
        }
    }

    /// A table's offset: cluster aligned, and of no more bits than any offset in the file.
    private func checkOffset(_ name: String, _ offset: UInt64, _ field: Int) throws(ImageError) {
        guard offset & (clusterSize - 1) == 0 else {
            throw damaged("\(name) is \(offset), not a multiple of the cluster size \(clusterSize)", field)
        }
        guard offset < Self.offsetLimit else {
            throw damaged("\(name) is \(offset), more than 56 bits", field)
        }
    }

    private func checkTables() throws(ImageError) {
        guard size < 1 << 63 else { throw damaged("size is \(size), 2^63 or more", Field.size) }
        guard l1Size <= Self.mostL1Entries else {
            throw damaged("l1_size is \(l1Size), more than \(Self.mostL1Entries) entries", Field.l1Size)
        }
        try checkOffset("l1_table_offset", l1TableOffset, Field.l1TableOffset)
        guard l1Size == 0 || l1TableOffset != 0 else {
            throw damaged("l1_table_offset is 0: the L1 table would lie on the header", Field.l1TableOffset)
        }
        try checkOffset("refcount_table_offset", refcountTableOffset, Field.refcountTableOffset)
        guard UInt64(refcountTableClusters) <= Self.longestRefcountTable / clusterSize else {
            throw damaged(
                "refcount_table_clusters is \(refcountTableClusters): the table would pass 8 MiB",
                Field.refcountTableClusters)
        }
        guard refcountTableClusters == 0 || refcountTableOffset != 0 else {
            throw damaged(
                "refcount_table_offset is 0: the refcount table would lie on the header", Field.refcountTableOffset)
        }
        guard snapshotCount <= Self.mostSnapshots else {
            throw damaged("nb_snapshots is \(snapshotCount), more than \(Self.mostSnapshots)", Field.snapshotCount)
        }
        try checkOffset("snapshots_offset", snapshotsOffset, Field.snapshotsOffset)
        guard snapshotCount == 0 || snapshotsOffset != 0 else {
            throw damaged("snapshots_offset is 0: the snapshot table would lie on the header", Field.snapshotsOffset)
        }
    }

    /// The name lies behind the header in cluster 0, where it may not reach past the end.
    private func checkBackingName() throws(ImageError) {
        guard backingFileOffset != 0 else { return }
        guard backingFileOffset <= clusterSize else {
            throw damaged("backing_file_offset is \(backingFileOffset), past cluster 0", Field.backingFileOffset)
        }
        guard backingFileOffset >= UInt64(length) else {
            throw damaged("backing_file_offset is \(backingFileOffset), inside the header", Field.backingFileOffset)
        }
        guard backingFileSize <= Self.longestBackingName else {
            throw damaged(
                "backing_file_size is \(backingFileSize), more than \(Self.longestBackingName)", Field.backingFileSize)
        }
        guard UInt64(backingFileSize) <= clusterSize - backingFileOffset else {
            throw damaged(
                "backing_file_size is \(backingFileSize): the name would pass the end of cluster 0",
                Field.backingFileSize)
        }
    }
}
