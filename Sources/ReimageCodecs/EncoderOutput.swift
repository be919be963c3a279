internal import ReimageCore

/// Where an encoder lets its library write.
///
/// Libraries choose other bytes, or give up early, where little room is left. They are therefore always shown the most
/// room that a source can need, so that the encoded bytes follow from level and source alone.
struct EncoderOutput {
    private var scratch: [UInt8] = []

    /// Appends what `body` writes to `output` where it fits, and says whether it does.
    ///
    /// - Parameters:
    ///   - bound: the most bytes that `body` can write.
    ///   - body: fills the start of a buffer of `bound` bytes and gives the number of bytes it wrote; 0 where even that
    ///     was too little.
    mutating func append<Failure: Error>(
        atMost bound: Int, to output: inout OutputRawSpan,
        _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) -> Bool {
        if output.freeCapacity >= bound {
            // SAFETY: the slice is free capacity, lent exclusively; only what `body` has written is counted.
            return try unsafe output.withUnsafeMutableBytes { (target, filled) throws(Failure) in
                let count = try unsafe body(.init(rebasing: target[filled..<filled + bound]))
                filled += count
                return count > 0
            }
        }
        if scratch.count < bound { scratch = [UInt8](repeating: 0, count: bound) }
        let count = try scratch.withMutableBytes { (bytes) throws(Failure) in
            // SAFETY: the buffer is lent exclusively for the length of the call.
            try unsafe bytes.withUnsafeMutableBytes { (target) throws(Failure) in
                try unsafe body(.init(rebasing: target[..<bound]))
            }
        }
        guard count > 0, count <= output.freeCapacity else { return false }
        scratch.withBytes { output.append(contentsOf: $0.extracting(0..<count)) }
        return true
    }
}
