internal import ReimageCodecs
internal import ReimageCore

/// One copy of a GPT: its header and all entries.
public struct GPT: Sendable, Hashable {
    /// A used entry, and its number from 1.
    public struct Partition: Sendable, Hashable {
        public var number: Int
        public var entry: GPTEntry
    }

    public internal(set) var header: GPTHeader
    /// The entries as stored.
    public private(set) var array: [UInt8]
    public let sectorSize: Int
    /// The used entries, by number.
    public private(set) var partitions: [Partition]

    /// Reads the copy whose header is sector `lba` of `store`.
    /// - Throws: `.damaged` with the place where a part of it is wrong; `.unreadable` on an I/O error.
    init(at lba: UInt64, of store: any ByteStore, sectorSize: Int) throws(ImageError) {
        let unit = UInt64(sectorSize)
        let sectors = store.byteCount / unit
        guard lba > 0, lba < sectors else { throw .damaged("a GPT header would lie outside the disk") }
        let place = ImageError.Place.guest(GuestOffset(lba * unit))
        let header: GPTHeader
        do {
            let sector = try store.bytes(at: HostOffset(lba * unit), count: sectorSize)
            header = try sector.withBytes { (span) throws(ImageError) in try GPTHeader(decoding: span, at: lba) }
        } catch {
            throw error.at(place)
        }
        let arraySectors = header.arraySectorCount(sectorSize)
        guard header.arrayLBA > 0, header.arrayLBA < sectors, arraySectors <= sectors - header.arrayLBA,
            !(header.arrayLBA...header.arrayLBA + arraySectors - 1).contains(lba)
        else {
            throw ImageError(
                .damaged, "the GPT's entries would lie in sector \(header.arrayLBA), where they cannot", at: place)
        }
        let array = try store.bytes(at: HostOffset(header.arrayLBA * unit), count: header.arrayByteCount)
        guard CRC32.checksum(array) == header.arrayChecksum else {
            throw ImageError(
                .damaged, "the checksum of the GPT's entries is wrong",
                at: .guest(GuestOffset(header.arrayLBA * unit)))
        }
        self.header = header
        self.array = array
        self.sectorSize = sectorSize
        var partitions: [Partition] = []
        for index in 0..<header.entryCount {
            let start = index * header.entrySize
            // Only what is used is decoded: most of an array is empty.
            guard array[start..<start + 16].contains(where: { $0 != 0 }) else { continue }
            let entry = try array.withBytes { (span) throws(ImageError) in
                try GPTEntry(decoding: span.extracting(start..<start + header.entrySize))
            }
            partitions.append(Partition(number: index + 1, entry: entry))
        }
        self.partitions = partitions
    }

    /// Puts changed partitions in the place of those with the same numbers; the array's checksum follows.
    mutating func replace(_ changed: [Partition]) {
        for part in changed {
            guard let index = partitions.firstIndex(where: { $0.number == part.number }) else { continue }
            partitions[index] = part
            let start = (part.number - 1) * header.entrySize
            array.replaceSubrange(start..<start + 128, with: part.entry.encoded)
        }
        header.arrayChecksum = CRC32.checksum(array)
    }

    /// Whether both say the same of disk and partitions, wherever they lie.
    func agrees(with other: GPT) -> Bool {
        array == other.array && header.diskID == other.header.diskID && header.firstUsable == other.header.firstUsable
            && header.lastUsable == other.header.lastUsable
    }

    /// What contradicts itself in the entries, on a disk of `sectorCount` sectors.
    func problems(sectorCount: UInt64) -> [ImageError] {
        var problems: [ImageError] = []
        func note(_ message: String) {
            problems.append(
                ImageError(
                    .damaged, message, at: .guest(GuestOffset(header.arrayLBA * UInt64(sectorSize)))))
        }
        for part in partitions {
            let entry = part.entry
            if entry.firstLBA > entry.lastLBA || entry.firstLBA == 0 {
                note("partition \(part.number) starts in sector \(entry.firstLBA) and ends in \(entry.lastLBA)")
            } else if entry.lastLBA >= sectorCount {
                note("partition \(part.number) reaches past the end of the disk")
            } else if entry.firstLBA < header.firstUsable || entry.lastLBA > header.lastUsable {
                note("partition \(part.number) lies outside the sectors that partitions may have")
            }
        }
        let ordered = partitions.filter { $0.entry.firstLBA <= $0.entry.lastLBA }
            .sorted { ($0.entry.firstLBA, $0.number) < ($1.entry.firstLBA, $1.number) }
        for (first, second) in zip(ordered, ordered.dropFirst()) where second.entry.firstLBA <= first.entry.lastLBA {
            note("partitions \(first.number) and \(second.number) overlap")
        }
        return problems
    }
}
