#if canImport(Glibc)
    internal import Glibc
#endif

/// Memory on page borders, as direct I/O wants it: owned by one, lent by closures, freed once.
@safe
public struct AlignedBuffer: ~Copyable, @unchecked Sendable {
    // SAFETY (whole file): one owner, freed once in deinit, never lent beyond a closure; Sendable because the value
    // itself is moved, never shared.
    private let memory: UnsafeMutableRawBufferPointer

    /// The alignment of the first byte; a multiple of every block size in use.
    public static let alignment = 4096

    /// The huge page of the processors in use; a buffer that holds one begins on one.
    private static let hugePage = 2 << 20

    /// A buffer of `byteCount` zero bytes.
    ///
    /// A large one is asked for in huge pages: a direct request of 2 MiB then is one piece of memory to the medium, and
    /// not 512, which was half the time of a copy.
    public init(byteCount: Int) {
        let isLarge = byteCount >= Self.hugePage
        unsafe memory = .allocate(byteCount: byteCount, alignment: isLarge ? Self.hugePage : Self.alignment)
        #if canImport(Glibc)
            // Advice: without huge pages the buffer is the same, and slower.
            if isLarge { _ = unsafe madvise(memory.baseAddress, byteCount, MADV_HUGEPAGE) }
        #endif
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe memory.deallocate() }

    /// The length in bytes.
    public var byteCount: Int { unsafe memory.count }

    /// Lends the bytes of `range` for reading.
    public borrowing func withBytes<Value, Failure: Error>(
        _ range: Range<Int>, _ body: (RawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let slice = unsafe UnsafeRawBufferPointer(rebasing: memory[range])
        return try unsafe body(slice.bytes)
    }

    /// Lends all bytes for reading.
    public borrowing func withBytes<Value, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withBytes(0..<byteCount, body)
    }

    /// Lends the bytes of `range` for writing.
    public mutating func withMutableBytes<Value, Failure: Error>(
        _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let slice = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[range])
        var span = unsafe slice.mutableBytes
        return try body(&span)
    }

    /// Lends all bytes for writing.
    public mutating func withMutableBytes<Value, Failure: Error>(
        _ body: (inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withMutableBytes(0..<byteCount, body)
    }

    /// Lends the bytes of `range` to be filled from their start.
    /// - Returns: how many bytes `body` appended.
    public mutating func fill<Failure: Error>(
        _ range: Range<Int>, _ body: (inout OutputRawSpan) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        let slice = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[range])
        var output = unsafe OutputRawSpan(buffer: slice, initializedCount: 0)
        try body(&output)
        return unsafe output.finalize(for: slice)
    }
}
