internal import CSHA256
internal import ReimageCore

extension DigestTree {
    /// How many leaves are hashed at once; 0 where the processor cannot do that.
    ///
    /// The proof of every disk rests on these hashes, so the lanes are taken only where they agree with the library, which
    /// is asked once in each process.
    private static let laneCount: Int = {
        let count = reimage_sha256_lanes()
        return count > 0 && lanesAgree(count) ? count : 0
    }()
    /// So few leaves are hashed faster one by one.
    private static let fewLeaves = max(1, laneCount / 4)

    /// The hashes of the leaves that `bytes`, a whole number of leaves, are cut into; many at once where the processor
    /// can do that.
    public static func leaves(of bytes: RawSpan) -> [Hash256] {
        let count = bytes.byteCount / leafSize
        guard laneCount > 0, count > fewLeaves else { return (0..<count).map { leaf(of: bytes, at: $0) } }
        var hashes = [Hash256](repeating: zeroNodes[0], count: count)
        var waiting = InlineArray<16, Int>(repeating: 0)
        var waitingCount = 0
        for index in 0..<count {
            if !bytes.extracting(index * leafSize..<(index + 1) * leafSize).isZero {
                waiting[waitingCount] = index
                waitingCount += 1
            }
            guard waitingCount == laneCount || index == count - 1 else { continue }
            if waitingCount <= fewLeaves {
                for lane in 0..<waitingCount { hashes[waiting[lane]] = leaf(of: bytes, at: waiting[lane]) }
            } else {
                hash(bytes, waiting, waitingCount, laneCount, into: &hashes)
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
            hash(bytes, indices, laneCount, laneCount, into: &hashes)
            return hashes.indices.allSatisfy { hashes[$0] == leaf(of: bytes, at: $0) }
        }
    }

    private static func leaf(of bytes: RawSpan, at index: Int) -> Hash256 {
        leaf(of: bytes.extracting(index * leafSize..<(index + 1) * leafSize))
    }

    /// Hashes the leaves that the first `count` of `indices` name. Lanes that are left over hash the first one again.
    private static func hash(
        _ bytes: RawSpan, _ indices: InlineArray<16, Int>, _ count: Int, _ laneCount: Int, into hashes: inout [Hash256]
    ) {
        var results = InlineArray<512, UInt8>(repeating: 0)
        // SAFETY: every pointer lies a whole leaf before the end of the borrowed bytes, the C function reads a leaf from
        // each and writes 32 bytes a lane, which is what `results` holds.
        unsafe bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return }
            var messages = unsafe InlineArray<16, UnsafeRawPointer?>(repeating: base)
            for lane in 0..<laneCount { unsafe messages[lane] = base + indices[lane < count ? lane : 0] * leafSize }
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
        for lane in 0..<count { hashes[indices[lane]] = Hash256(elements, at: lane * Hash256.byteCount) }
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
