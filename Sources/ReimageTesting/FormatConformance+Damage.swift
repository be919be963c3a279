internal import ReimageCore

extension FormatConformance {
    /// Whichever read of the store fails, opening or reading the image throws, or gives the right bytes.
    public func checkFaults(_ sample: Sample) throws {
        let counting = CountingStore(MemoryStore(sample.image, name: sample.name))
        _ = try content(of: sample, in: counting).allBytes()
        let total = counting.counts.reads
        // All of the first, where the tables are, and a sample of the rest.
        var random = SeededGenerator(seed: seed)
        let late = (0..<40).map { _ in Int.random(in: 0..<max(total, 1), using: &random) }
        for number in Set(Array(0..<min(total, 60)) + late).sorted() where number < total {
            for trigger in [FaultyStore.Trigger.afterReads(number), .read(number)] {
                let store = FaultyStore(
                    MemoryStore(sample.image, name: sample.name), trigger, isShort: number.isMultiple(of: 2))
                let found = Result { () throws(ImageError) in try content(of: sample, in: store).allBytes() }
                if case .success(let bytes) = found {
                    try compare(bytes, sample.guest[...], "reading with a fault (\(trigger))", sample)
                }
            }
        }
    }

    /// An image that is cut short is noticed: opening or reading it throws, unless all bytes are still right.
    public func checkCuts(_ sample: Sample) throws {
        let count = sample.image.count
        var random = SeededGenerator(seed: seed)
        var lengths = Set([0, 1, 3, 4, 7, 8, 71, 72, 103, 104, 511, 512, 513, 4095, 4096, 4097, 65535, 65536])
        for back in [1, 2, 3, 4, 7, 8, 511, 512, 513, 4096] { lengths.insert(count - back) }
        for _ in 0..<60 { lengths.insert(Int.random(in: 0..<max(count, 1), using: &random)) }
        for length in lengths.sorted() where (0..<count).contains(length) && !sample.harmlessCuts.contains(length) {
            try checkDamaged(Damage.cut(at: length), sample)
        }
    }

    /// A spoiled image is noticed: opening or reading it throws, unless all bytes are still right.
    ///
    /// Not for damage that may rightly change the guest's bytes.
    public func checkDamaged(_ damage: Damage, _ sample: Sample) throws {
        let store = MemoryStore(damage.applied(to: sample.image), name: sample.name)
        let found = Result { () throws(ImageError) in try content(of: sample, in: store).allBytes() }
        guard case .success(let bytes) = found else { return }
        let expected = sample.cutGivesShorterDisk ? sample.guest.prefix(bytes.count) : sample.guest[...]
        try compare(bytes, expected, "reading an image that was \(damage)", sample)
    }
}
