// Reading and writing numbers at fixed offsets. Bounds are checked once a field; the loads are unaligned.

extension RawSpan {
    /// The big-endian number at byte `offset`.
    /// - Throws: `.damaged` where the field passes the end of the span.
    @inlinable
    public func big<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type = Number.self, at offset: Int
    ) throws(ImageError) -> Number {
        try checkField(offset, MemoryLayout<Number>.size)
        // SAFETY: the field was just checked to lie inside the span, and any bit pattern is a number.
        return Number(bigEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Number.self))
    }

    /// The little-endian number at byte `offset`.
    /// - Throws: `.damaged` where the field passes the end of the span.
    @inlinable
    public func little<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type = Number.self, at offset: Int
    ) throws(ImageError) -> Number {
        try checkField(offset, MemoryLayout<Number>.size)
        // SAFETY: as above.
        return Number(littleEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Number.self))
    }

    /// The bytes of `range` as text; bytes that are no UTF-8 become replacement characters.
    /// - Throws: `.damaged` where the range passes the end of the span.
    public func text(_ range: Range<Int>) throws(ImageError) -> String {
        String(decoding: try bytes(range), as: UTF8.self)
    }

    /// A copy of the bytes of `range`.
    /// - Throws: `.damaged` where the range passes the end of the span.
    public func bytes(_ range: Range<Int>) throws(ImageError) -> [UInt8] {
        try checkField(range.lowerBound, range.count)
        // SAFETY: the copy is made inside the borrow.
        return unsafe extracting(range).withUnsafeBytes { unsafe Array($0) }
    }

    @usableFromInline
    func fieldOutside(_ offset: Int, _ size: Int) -> ImageError {
        .damaged("a field of \(size) bytes at \(offset) passes the end of its \(byteCount) byte structure")
    }

    @inlinable
    func checkField(_ offset: Int, _ size: Int) throws(ImageError) {
        guard offset >= 0, size >= 0, size <= byteCount, offset <= byteCount - size else {
            throw fieldOutside(offset, size)
        }
    }
}

extension MutableRawSpan {
    /// Stores `number` big-endian at byte `offset`; the field must lie inside the span.
    @inlinable
    public mutating func storeBig<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        storeBytes(of: number.bigEndian, toByteOffset: offset, as: Number.self)
    }

    /// Stores `number` little-endian at byte `offset`; the field must lie inside the span.
    @inlinable
    public mutating func storeLittle<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }
}
