extension RawSpan {
    /// Whether every byte is zero; an empty span is.
    ///
    /// Stops at the first 256 bytes that hold anything, which is where most data ends the test.
    public var isZero: Bool {
        // SAFETY: every load lies inside the borrowed bytes: `offset` never passes `count - size`.
        unsafe withUnsafeBytes { bytes in
            let count = bytes.count
            var offset = 0
            typealias Block = SIMD8<UInt64>
            let size = MemoryLayout<Block>.size
            while offset <= count - 4 * size {
                let first = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Block.self)
                let second = unsafe bytes.loadUnaligned(fromByteOffset: offset + size, as: Block.self)
                let third = unsafe bytes.loadUnaligned(fromByteOffset: offset + 2 * size, as: Block.self)
                let fourth = unsafe bytes.loadUnaligned(fromByteOffset: offset + 3 * size, as: Block.self)
                if ((first | second) | (third | fourth)) != Block.zero { return false }
                offset += 4 * size
            }
            while offset < count {
                if unsafe bytes[offset] != 0 { return false }
                offset += 1
            }
            return true
        }
    }
}
