internal import ReimageCore

/// What a check learned besides its findings: what a repair must know before it changes anything.
struct CheckFacts {
    /// Entries side by side that hold the same.
    struct Entries: Hashable {
        var first: Int
        var count: Int
    }

    /// The most blocks or runs of entries of a kind that are remembered; a repair of an image with more is refused.
    static let most = 1 << 16

    /// Entries that point to where no block can be.
    private(set) var lost: [Entries] = []
    /// Blocks whose end the file lacks, although the disk needs it.
    private(set) var cut: [Int] = []
    /// Blocks that lie on a block before them in the file.
    private(set) var overlapping: [Int] = []
    /// Blocks that hold data under clear bits.
    private(set) var hidden: [Int] = []
    /// Allocated entries behind the end of the disk.
    private(set) var surplus: [Entries] = []
    /// Whether there was too much to remember.
    private(set) var isIncomplete = false
    /// Where the last structure ends that is used, as far as the data goes.
    var usedEnd: UInt64 = 0
    /// Where the last block ends, or would end in a longer file.
    var blocksEnd: UInt64 = 0

    /// Whether a part of the table cannot be, so that what nothing seems to use may still be some block.
    var hasDoubtfulTable: Bool { !lost.isEmpty || !cut.isEmpty || !overlapping.isEmpty || isIncomplete }

    mutating func add(lost entries: Entries) { add(entries, to: \.lost) }
    mutating func add(surplus entries: Entries) { add(entries, to: \.surplus) }
    mutating func add(cut block: Int) { add(block, to: \.cut) }
    mutating func add(overlapping block: Int) { add(block, to: \.overlapping) }
    mutating func add(hidden block: Int) { add(block, to: \.hidden) }
    mutating func giveUp() { isIncomplete = true }

    private mutating func add<Value>(_ value: Value, to list: WritableKeyPath<CheckFacts, [Value]>) {
        guard self[keyPath: list].count < Self.most else { return isIncomplete = true }
        self[keyPath: list].append(value)
    }
}
