/// Makes the bytes of disks that are hard on readers and writers.
public enum PatternDisk {
    /// `count` bytes made of runs that start and end anywhere: zeros, noise, text that repeats, and zeros with one byte
    /// set at an edge of a grain.
    ///
    /// - Parameter grain: runs are some grains long, give or take a few bytes.
    public static func bytes(count: Int, grain: Int = 4096, seed: UInt64 = 1) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            var length = grain * Int.random(in: 1...6, using: &random)
            if Bool.random(using: &random) { length += Int.random(in: -3...3, using: &random) }
            length = min(max(length, 1), count - bytes.count)
            append(Int.random(in: 0..<5, using: &random), length, grain, to: &bytes, &random)
        }
        return bytes
    }

    private static func append(
        _ kind: Int, _ length: Int, _ grain: Int, to bytes: inout [UInt8], _ random: inout SeededGenerator
    ) {
        let start = bytes.count
        switch kind {
        case 0, 1: bytes.append(contentsOf: repeatElement(0, count: length))
        case 2: for _ in 0..<length { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        case 3: for index in 0..<length { bytes.append(UInt8(32 + (start + index * index / 64) % 90)) }
        default:
            bytes.append(contentsOf: repeatElement(0, count: length))
            let edge = (start + grain - 1) / grain * grain
            let place = min(edge + (Bool.random(using: &random) ? 0 : grain - 1), bytes.count - 1)
            bytes[place] = 0x80
        }
    }
}
