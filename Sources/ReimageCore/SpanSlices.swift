extension MutableRawSpan {
    /// Lends `body` the bytes of `range`, which must lie inside the span.
    @inlinable
    public mutating func withSlice<Value, Failure: Error>(
        _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var slice = _mutatingExtracting(range)
        return try body(&slice)
    }

    /// Sets every byte of `range`, which must lie inside the span, to zero.
    @inlinable
    public mutating func zero(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        withSlice(range) { slice in
            // SAFETY: the closure writes only inside the slice it is lent.
            unsafe slice.withUnsafeMutableBytes { bytes in
                unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
                return
            }
        }
    }

    /// Sets every byte to zero.
    @inlinable
    public mutating func zero() { zero(0..<byteCount) }

    /// Copies all of `source` to byte `offset`; it must fit.
    @inlinable
    public mutating func copy(from source: RawSpan, at offset: Int = 0) {
        precondition(offset >= 0 && source.byteCount <= byteCount - offset, "a copy must fit its target")
        // SAFETY: bounds were just checked; the two spans are exclusive borrows and cannot overlap.
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { bytes in
                guard let from = bytes.baseAddress, let to = target.baseAddress else { return }
                unsafe to.advanced(by: offset).copyMemory(from: from, byteCount: bytes.count)
            }
        }
    }
}

extension OutputRawSpan {
    /// Appends all of `source`; it must fit the free capacity.
    @inlinable
    public mutating func append(contentsOf source: RawSpan) {
        precondition(source.byteCount <= freeCapacity, "an append must fit its target")
        // SAFETY: bounds were just checked; the two spans are exclusive borrows and cannot overlap.
        unsafe withUnsafeMutableBytes { target, count in
            unsafe source.withUnsafeBytes { bytes in
                guard let from = bytes.baseAddress, let to = target.baseAddress else { return }
                unsafe to.advanced(by: count).copyMemory(from: from, byteCount: bytes.count)
            }
            count += source.byteCount
        }
    }
}

extension OutputRawSpan {
    /// Lends `body` the next `count` bytes of the free capacity, which it must fill; they are appended unless it throws.
    @inlinable
    public mutating func append<Failure: Error>(
        count: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        precondition(count >= 0 && count <= freeCapacity, "an append must fit its target")
        // SAFETY: the slice is free capacity, lent exclusively; bytes that nobody wrote yet are still bytes.
        try unsafe withUnsafeMutableBytes { (target, filled) throws(Failure) in
            let slice = unsafe UnsafeMutableRawBufferPointer(rebasing: target[filled..<filled + count])
            var span = unsafe slice.mutableBytes
            try body(&span)
            filled += count
        }
    }
}

extension [UInt8] {
    /// Lends `body` the bytes of the array for reading.
    @inlinable
    public func withBytes<Value, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        // SAFETY: bytes are initialised numbers without padding; the span does not outlive the borrow.
        try unsafe body(span.bytes)
    }

    /// Lends `body` the bytes of the array for writing.
    @inlinable
    public mutating func withMutableBytes<Value, Failure: Error>(
        _ body: (inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var elements = mutableSpan
        // SAFETY: as above, and any byte is a valid element.
        var bytes = unsafe elements.mutableBytes
        return try body(&bytes)
    }
}
