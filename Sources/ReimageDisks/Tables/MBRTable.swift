public import ReimageCore

/// The partitions of an MBR, with those inside an extended one.
public struct MBRTable: Sendable, Hashable {
    /// An extended boot record, and where it lies.
    public struct Link: Sendable, Hashable {
        public internal(set) var lba: UInt64
        public internal(set) var record: MBR
    }

    /// A partition that is no container of others.
    public struct Partition: Sendable, Hashable {
        /// 1 to 4, and from 5 for those inside the extended one.
        public var number: Int
        public var type: UInt8
        /// The first sector on the disk.
        public var firstLBA: UInt64
        /// How many sectors it has.
        public var count: UInt64
        /// The record that holds its entry: `nil` for the disk's own, else an index into ``MBRTable/links``.
        var link: Int?
        /// The entry in its record.
        var index: Int
    }

    public internal(set) var mbr: MBR
    /// The chain of extended boot records, in its own order.
    public internal(set) var links: [Link] = []
    public let sectorSize: Int
    public private(set) var partitions: [Partition] = []
    /// What contradicts itself; the rest stands.
    public private(set) var problems: [ImageError] = []
    /// Where the disk ends, in sectors.
    let sectorCount: UInt64

    /// The most records of a chain that are followed.
    private static let longestChain = 128

    /// Reads what `mbr` describes.
    /// - Throws: `.unreadable` on an I/O error.
    init(_ mbr: MBR, of store: any ByteStore, sectorSize: Int) throws(ImageError) {
        self.mbr = mbr
        self.sectorSize = sectorSize
        sectorCount = store.byteCount / UInt64(sectorSize)
        for (index, entry) in mbr.entries.enumerated() where entry.isUsed && !entry.isExtended {
            let part = Partition(
                number: index + 1, type: entry.type, firstLBA: UInt64(entry.start), count: UInt64(entry.count),
                link: nil, index: index)
            partitions.append(part)
            if entry.start == 0 || entry.end > sectorCount {
                problems.append(problem("partition \(index + 1) reaches outside the disk", lba: 0))
            }
        }
        let containers = mbr.entries.filter(\.isExtended)
        if containers.count > 1 {
            problems.append(problem("there is more than one extended partition; the first one counts", lba: 0))
        }
        if let container = containers.first { try follow(container, of: store) }
    }

    /// The extended partition's entry in the disk's own record.
    var container: Int? { mbr.entries.firstIndex(where: \.isExtended) }

    /// The chain, up to its end or to what cannot be followed.
    private mutating func follow(_ container: MBREntry, of store: any ByteStore) throws(ImageError) {
        let base = UInt64(container.start)
        let end = min(container.end, sectorCount)
        var next: UInt64? = base
        var seen: Set<UInt64> = []
        while let lba = next {
            next = nil
            guard lba > 0, lba >= base, lba < end else {
                return problems.append(problem("an extended boot record would lie outside its partition", lba: lba))
            }
            guard seen.insert(lba).inserted else {
                return problems.append(problem("the chain of extended boot records runs in a circle", lba: lba))
            }
            guard links.count < Self.longestChain else {
                return problems.append(
                    problem("there are more than \(Self.longestChain) extended boot records", lba: lba))
            }
            let bytes = try store.bytes(at: HostOffset(lba * UInt64(sectorSize)), count: MBR.byteCount)
            guard let record = MBR(bytes) else {
                return problems.append(problem("an extended boot record has no signature", lba: lba))
            }
            links.append(Link(lba: lba, record: record))
            addPartitions(of: record, at: lba, within: end)
            // Which of the entries is the link is not fixed; one that reaches back to the start is the chain's end.
            if let link = record.entries.first(where: \.isExtended) { next = base + UInt64(link.start) }
        }
    }

    private mutating func addPartitions(of record: MBR, at lba: UInt64, within end: UInt64) {
        for (index, entry) in record.entries.enumerated() where entry.isUsed && !entry.isExtended {
            let first = lba + UInt64(entry.start)
            let isInside = entry.start > 0 && first + UInt64(entry.count) <= end
            // Only the first two entries mean anything; garbage in the others is common.
            if !isInside && index >= 2 { continue }
            let number = 5 + partitions.count(where: { $0.link != nil })
            if !isInside { problems.append(problem("partition \(number) reaches outside the extended one", lba: lba)) }
            partitions.append(
                Partition(
                    number: number, type: entry.type, firstLBA: first, count: UInt64(entry.count),
                    link: links.count - 1, index: index))
        }
    }

    private func problem(_ message: String, lba: UInt64) -> ImageError {
        let (offset, overflow) = lba.multipliedReportingOverflow(by: UInt64(sectorSize))
        return ImageError(.damaged, message, at: overflow ? nil : .guest(GuestOffset(offset)))
    }
}
