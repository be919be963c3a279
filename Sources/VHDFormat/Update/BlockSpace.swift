internal import ReimageCore

/// The blocks and the end of an image that is changed in place, both of whose footers are sound.
///
/// New space is made by writing the footer where it is to be, before anything lies between it and the old one; so the
/// file ends with a footer at any moment. A block that moves is copied, and its entry changed once the copy is on the
/// medium.
struct BlockSpace {
    /// How many blocks are copied between two syncs.
    private static let batch = 64
    private static let pieceByteCount: UInt64 = 1 << 20

    /// A block that gets another place.
    struct Move {
        var index: Int
        /// Where it lies; `nil` for one that is lost, and becomes zeros.
        var from: UInt64?
        var to: UInt64
    }

    let store: any UpdatableStore
    let cancellation: Cancellation
    let sparse: CheckedImage.Sparse
    /// Where the data ended when the work began: all blocks that move lay before.
    private let dataEnd: UInt64
    /// Where the last block ends, or would end were it stored whole.
    private let blocksEnd: UInt64
    /// The place of the footer at the end.
    private(set) var footerPlace: UInt64

    init(
        _ store: any UpdatableStore, _ image: CheckedImage, _ sparse: CheckedImage.Sparse, _ facts: CheckFacts,
        _ cancellation: Cancellation
    ) {
        self.store = store
        self.cancellation = cancellation
        self.sparse = sparse
        dataEnd = image.dataEnd
        blocksEnd = facts.blocksEnd
        footerPlace = image.dataEnd
    }

    /// The first place from `start` on at which a block's data is aligned to what memory and file systems like.
    func aligned(_ start: UInt64) -> UInt64 {
        let unit = min(4096, sparse.blockSize)
        let bitmap = sparse.bitmapByteCount
        return (start + bitmap).dividedRoundingUp(by: unit) * unit - bitmap
    }

    /// Makes room for `count` blocks at the end of the file, and at least up to `least`. A block that the footer cut, as
    /// its rest lies behind the disk's end, is stored whole afterwards: nothing else may lie there.
    /// - Returns: the places of the blocks.
    mutating func extend(blocks count: Int, least: UInt64 = 0) throws(ImageError) -> [UInt64] {
        let most = UInt64(UInt32.max) * Geometry.sectorSize
        var places: [UInt64] = []
        var end = max(footerPlace, blocksEnd, least.roundedUp(to: Geometry.sectorSize) ?? .max)
        for _ in 0..<count {
            guard end < most - sparse.stride - 4096 else { throw Self.tooLarge }
            places.append(aligned(end))
            end = aligned(end) + sparse.stride
        }
        guard end < most else { throw Self.tooLarge }
        guard end > footerPlace else { return places }
        let isFirst = footerPlace == dataEnd
        try moveFooter(to: end)
        if isFirst, blocksEnd > dataEnd {
            try store.zero(HostRange(from: HostOffset(dataEnd), to: HostOffset(blocksEnd)), mode: .allocated)
            try store.sync()
        }
        return places
    }

    private static var tooLarge: ImageError {
        ImageError(
            .unsupported, "the image would pass the 2 TiB that its block allocation table can address",
            advice: "Convert it to another format.")
    }

    /// Writes the footer where it is to be; the old one, where it stands before it, stays what it is until something
    /// is written there.
    private mutating func moveFooter(to place: UInt64) throws(ImageError) {
        let footer = try StoredStructure(footerAt: HostOffset(footerPlace), in: store)
        try store.write(footer.bytes, at: HostOffset(place))
        try store.sync()
        footerPlace = place
    }

    /// Gives back what lies behind `end`, where nothing does.
    /// - Returns: how many bytes.
    mutating func cut(to end: UInt64) throws(ImageError) -> UInt64 {
        let old = footerPlace
        guard let place = end.roundedUp(to: Geometry.sectorSize), place + UInt64(Footer.byteCount) <= old else {
            return 0
        }
        try moveFooter(to: place)
        try store.setByteCount(place + UInt64(Footer.byteCount))
        try store.sync()
        return old - place
    }

    /// Copies blocks, and lets the table point to the copies.
    func move(_ moves: [Move]) throws(ImageError) {
        var first = 0
        while first < moves.count {
            let batch = moves[first..<min(first + Self.batch, moves.count)]
            for move in batch { try copy(move) }
            try store.sync()
            for move in batch { try setEntry(move.index, UInt32(move.to / Geometry.sectorSize)) }
            try store.sync()
            first += batch.count
        }
    }

    func setEntry(_ index: Int, _ value: UInt32) throws(ImageError) {
        var bytes = [UInt8](repeating: 0, count: 4)
        bytes.withMutableBytes { $0.storeBig(value, at: 0) }
        try store.write(bytes, at: sparse.table.entry(index))
    }

    /// Makes zeros what the block of guest byte `end` holds from there on; `end` is a border of sectors.
    func clearBlock(behind end: UInt64) throws(ImageError) {
        let within = end % sparse.blockSize
        guard within > 0 else { return }
        let bytes = try store.bytes(at: sparse.table.entry(Int(end / sparse.blockSize)), count: 4)
        let sector = try bytes.withBytes { (span) throws(ImageError) in try span.big(UInt32.self, at: 0) }
        guard sector != TableWalk.unallocated else { return }
        let block = UInt64(sector) * Geometry.sectorSize + sparse.bitmapByteCount
        // The file may end before the block does.
        let stop = min(block + sparse.blockSize, dataEnd)
        guard block + within < stop else { return }
        try store.zero(HostRange(from: HostOffset(block + within), to: HostOffset(stop)), mode: .allocated)
        try store.sync()
    }

    /// Makes `count` entries from `first` on those of blocks that are not stored.
    func clearEntries(_ first: Int, count: Int) throws(ImageError) {
        try fill(sparse.table.entry(first), count: UInt64(count) * 4)
    }

    /// Makes all bits of a range ones, as they are in a table without blocks.
    func fill(_ place: HostOffset, count: UInt64) throws(ImageError) {
        var done: UInt64 = 0
        while done < count {
            try cancellation.check()
            let piece = min(Self.pieceByteCount, count - done)
            try store.write([UInt8](repeating: 0xFF, count: Int(piece)), at: place + done)
            done += piece
        }
    }

    /// Copies a block with its bitmap; what the file lacks of it becomes zeros.
    private func copy(_ move: Move) throws(ImageError) {
        guard let from = move.from else {
            try store.zero(
                HostRange(start: HostOffset(move.to + sparse.bitmapByteCount), count: sparse.blockSize),
                mode: .allocated)
            return try fill(HostOffset(move.to), count: sparse.bitmapByteCount)
        }
        let end = min(from + sparse.stride, dataEnd)
        var place = from
        while place < end {
            try cancellation.check()
            let count = min(Self.pieceByteCount, end - place)
            try store.write(
                try store.bytes(at: HostOffset(place), count: Int(count)), at: HostOffset(move.to + place - from))
            place += count
        }
        if place - from < sparse.stride {
            let rest = HostRange(
                from: HostOffset(move.to + (place - from)), to: HostOffset(move.to + sparse.stride))
            try store.zero(rest, mode: .allocated)
        }
    }
}
