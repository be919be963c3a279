internal import ReimageCore

/// Where blocks lie, for the part of the file that is looked at in one walk of the table.
///
/// Blocks are as long as each other, so that a part of the file has room for a known number of them: where more begin in
/// it, some lie on each other.
struct BlockPlaces {
    /// The most blocks of one walk: 16 MiB. A file with usual blocks is walked once.
    static let most = 2 << 20

    /// The sectors that are looked at.
    private(set) var sectors: Range<UInt64>
    /// The first sector of a block, and the block's index.
    private var places: [UInt64] = []
    /// Whether more blocks begin here than there is room for.
    private(set) var isOverfull = false
    private let most: Int

    /// The first part of a file.
    /// - Parameter stride: the sectors to a block.
    init(stride: UInt64, most: Int = most) {
        self.most = most
        sectors = 0..<UInt64(most) * stride
    }

    /// Goes on to the next part.
    mutating func advance() {
        let count = sectors.upperBound - sectors.lowerBound
        sectors = sectors.upperBound..<sectors.upperBound + count
        places.removeAll(keepingCapacity: true)
        isOverfull = false
    }

    mutating func add(_ sector: UInt32, _ entries: CheckFacts.Entries) {
        guard sectors.contains(UInt64(sector)) else { return }
        for index in entries.first..<entries.first + entries.count {
            // One more, as a block that begins before the part's end may reach over it.
            guard places.count <= most else { return isOverfull = true }
            places.append(UInt64(sector) << 32 | UInt64(index))
        }
    }

    /// The blocks in the order in which they lie in the file.
    mutating func sorted() -> [UInt64] {
        // Most images have their blocks in order.
        if !zip(places, places.dropFirst()).allSatisfy({ $0 < $1 }) { places.sort() }
        return places
    }

    /// The first sector and the index of one of them.
    static func parts(of place: UInt64) -> (sector: UInt64, index: Int) { (place >> 32, Int(place & 0xFFFF_FFFF)) }
}
