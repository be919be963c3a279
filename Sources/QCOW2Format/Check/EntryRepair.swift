internal import ReimageCore

/// What a faulty L2 entry becomes: the least change that makes it sound.
struct EntryRepair {
    /// What the guest cannot read any more; it could not before either.
    enum Loss: Hashable {
        case nothing
        case cluster
        case subclusters(UInt32)
    }

    /// A sound entry.
    struct Outcome {
        var pair: L2Pair
        var loss = Loss.nothing
        /// Whether the entry wants a cluster of zeros to point to: there is no other way to say zeros in version 2
        /// where a backing file would show through.
        var wantsZeroCluster = false
    }

    let examiner: EntryExaminer
    let hasBacking: Bool

    init(_ image: CheckedImage) {
        examiner = EntryExaminer(image)
        hasBacking = image.extensions.backingName != nil
    }

    /// The sound entry in place of `pair`; `nil` where it is sound, or where only a guess could make it so.
    func outcome(_ pair: L2Pair, guest: UInt64) -> Outcome? {
        let faults = examiner.faults(pair, guest: guest)
        if faults.isEmpty || faults == .dataFileOffset { return nil }
        return pair.isCompressed ? compressed(pair, faults) : plain(pair, faults)
    }

    private func compressed(_ pair: L2Pair, _ faults: EntryFaults) -> Outcome {
        guard faults.isDisjoint(with: [.compressedInDataFile, .missing, .compressedNowhere]) else { return zeros }
        var entry = pair.entry & ~L2Decoder.copiedFlag
        if faults.contains(.compressedTooLong) {
            // The missing sectors hold nothing: all that could be decoded stays.
            let shift = examiner.geometry.compressedSizeShift
            let start = examiner.compressed(entry).start
            let more = (examiner.fileByteCount - 1) / 512 - start / 512
            entry = L2Decoder.compressedFlag | more << shift | start
        }
        return Outcome(pair: L2Pair(entry: entry))
    }

    private func plain(_ pair: L2Pair, _ faults: EntryFaults) -> Outcome {
        if faults.contains(.zeroInVersion2) {
            var outcome = zeros
            outcome.loss = .nothing
            return outcome
        }
        var pair = pair
        if examiner.geometry.hasSubclusters {
            pair.entry &= ~(L2Decoder.reservedMask | L2Decoder.zeroFlag)
            return subclusters(pair, faults)
        }
        pair.entry &= ~L2Decoder.reservedMask
        guard !faults.isDisjoint(with: [.unaligned, .missing]) else { return Outcome(pair: pair) }
        // With the zero flag the offset is only space held ready.
        if pair.entry & L2Decoder.zeroFlag != 0 { return Outcome(pair: L2Pair(entry: L2Decoder.zeroFlag)) }
        return zeros
    }

    private func subclusters(_ pair: L2Pair, _ faults: EntryFaults) -> Outcome {
        let isNowhere = !faults.isDisjoint(with: [.unaligned, .missing, .subclustersNowhere])
        let lost = isNowhere ? pair.stored : pair.stored & pair.zeros
        let zeros = pair.zeros | lost
        let bitmap = UInt64(zeros) << 32 | UInt64(pair.stored & ~zeros)
        return Outcome(
            pair: L2Pair(entry: isNowhere ? 0 : pair.entry, bitmap: bitmap),
            loss: lost == 0 ? .nothing : .subclusters(lost))
    }

    /// A cluster of zeros, which hides a backing file.
    private var zeros: Outcome {
        if examiner.geometry.hasSubclusters {
            return Outcome(pair: L2Pair(entry: 0, bitmap: 0xFFFF_FFFF << 32), loss: .cluster)
        }
        guard examiner.isVersion2 else { return Outcome(pair: L2Pair(entry: L2Decoder.zeroFlag), loss: .cluster) }
        return Outcome(pair: L2Pair(entry: 0), loss: .cluster, wantsZeroCluster: hasBacking)
    }
}
