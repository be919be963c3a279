internal import CSHA256
internal import ReimageCore

extension DigestTree {
    /// How many leaves can be hashed at once on this processor, the most first.
    ///
    /// The proof of every disk rests on these hashes, so lanes are taken only where they agree with the library, which is
    /// asked once in each process.
    private static let laneCounts = [16, 2].filter { reimage_sha256_has_lanes($0) == 1 && lanesAgree($0) }

    /// The hashes of the leaves that `bytes`, a whole number of leaves, are cut into; many at once where the processor
    /// can do that.
    public static func leaves(of bytes: RawSpan) -> [Hash256] {
        let count = bytes.byteCount / leafSize
        var hashes = [Hash256](repeating: zeroNodes[0], count: count)
        var waiting = InlineArray<16, Int>(repeating: 0)
        var waitingCount = 0
        for index in 0..<count {
            if !bytes.extracting(index * leafSize..<(index + 1) * leafSize).isZero {
                waiting[waitingCount] = index
                waitingCount += 1
            }
            guard waitingCount == waiting.count || index == count - 1 else { continue }
            var done = 0
            while done < waitingCount {
                let left = waitingCount - done
                // An idle lane takes as long as a busy one: where a quarter of many would do, fewer are faster.
                let lanes = laneCounts.first { left > max(1, $0 / 4) } ?? 1
                hash(bytes, waiting, done..<done + min(lanes, left), lanes, into: &hashes)
                done += lanes
            }
            waitingCount = 0
        }
        return hashes
    }

    private static func lanesAgree(_ laneCount: Int) -> Bool {
        let one = (0..<leafSize).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var all: [UInt8] = []
        for lane in 0..<laneCount { all += [UInt8(lane)] + one.dropFirst() }
        return all.withBytes { bytes in
            var hashes = [Hash256](repeating: zeroNodes[0], count: laneCount)
            var indices = InlineArray<16, Int>(repeating: 0)
            for lane in 0..<laneCount { indices[lane] = lane }
            hash(bytes, indices, 0..<laneCount, laneCount, into: &hashes)
            return hashes.indices.allSatisfy { hashes[$0] == leaf(of: bytes, at: $0) }
        }
    }

    private static func leaf(of bytes: RawSpan, at index: Int) -> Hash256 {
        SHA256Hasher.hash(prefix: 0, bytes.extracting(index * leafSize..<(index + 1) * leafSize))
    }

    /// Hashes the leaves that the `chosen` of `indices` name, no more than `laneCount`. Lanes that are left over hash the
    /// first one again.
    private static func hash(
        _ bytes: RawSpan, _ indices: InlineArray<16, Int>, _ chosen: Range<Int>, _ laneCount: Int,
        into hashes: inout [Hash256]
    ) {
        guard laneCount > 1 else {
            for place in chosen { hashes[indices[place]] = leaf(of: bytes, at: indices[place]) }
            return
        }
        var results = InlineArray<512, UInt8>(repeating: 0)
        // SAFETY: every pointer lies a whole leaf before the end of the borrowed bytes, the C function reads a leaf from
        // each and writes 32 bytes a lane, which is what `results` holds.
        unsafe bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return }
            var messages = unsafe InlineArray<16, UnsafeRawPointer?>(repeating: base)
            for lane in 0..<laneCount {
                let place = lane < chosen.count ? chosen.lowerBound + lane : chosen.lowerBound
                unsafe messages[lane] = base + indices[place] * leafSize
            }
            let pointers = unsafe messages.span
            var elements = results.mutableSpan
            unsafe pointers.withUnsafeBufferPointer { pointers in
                unsafe elements.withUnsafeMutableBufferPointer { target in
                    unsafe reimage_sha256_hash_lanes(
                        laneCount, 0, pointers.baseAddress, leafSize, target.baseAddress)
                }
            }
        }
        let elements = results.span
        for (lane, place) in chosen.enumerated() {
            hashes[indices[place]] = Hash256(elements, at: lane * Hash256.byteCount)
        }
    }
}

extension Hash256 {
    /// The hash whose 32 bytes lie at `start` of `bytes`.
    fileprivate init(_ bytes: Span<UInt8>, at start: Int) {
        func word(_ index: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 << 8 | UInt64(bytes[start + index * 8 + $1]) }
        }
        self.init(word(0), word(1), word(2), word(3))
    }
}
