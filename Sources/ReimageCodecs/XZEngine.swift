internal import CLZMA
internal import ReimageCore

/// Decodes xz: streams one after the other, with the padding that the format allows.
@safe
final class XZEngine: WrapperEngine {
    // SAFETY (whole file): the context is made in init, freed in deinit, and has no owner but this object; the caller
    // lends the buffers for the length of a step.
    private let context: UnsafeMutablePointer<lzma_stream>
    private let memoryLimit: UInt64

    let lookahead = 1

    init(memoryLimit: UInt64) throws(ImageError) {
        self.memoryLimit = memoryLimit
        unsafe context = .allocate(capacity: 1)
        unsafe context.initialize(to: lzma_stream())
        // LZMA_CONCATENATED and LZMA_TELL_UNSUPPORTED_CHECK, macros that the importer cannot read.
        let flags: UInt32 = 0x08 | 0x02
        // liblzma takes 0 for "no limit".
        let made = unsafe lzma_stream_decoder(context, max(memoryLimit, 1), flags)
        guard made == LZMA_OK else { throw .noMemory(for: "xz decoder") }
    }

    deinit {
        unsafe lzma_end(context)
        unsafe context.deallocate()
    }

    func step(
        _ input: UnsafeRawBufferPointer, isLast: Bool, _ output: UnsafeMutableRawBufferPointer,
        progress: inout WrapperProgress
    ) throws(ImageError) -> Bool {
        unsafe context.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe context.pointee.avail_in = input.count
        unsafe context.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe context.pointee.avail_out = output.count
        let result = unsafe lzma_code(context, isLast ? LZMA_FINISH : LZMA_RUN)
        progress.consumed = unsafe input.count - context.pointee.avail_in
        progress.produced = unsafe output.count - context.pointee.avail_out
        switch result {
        case LZMA_OK: return false
        case LZMA_STREAM_END: return true
        case LZMA_BUF_ERROR: throw .cutShort(.xz)
        case LZMA_MEMLIMIT_ERROR:
            throw .overMemoryLimit(.xz, needs: unsafe lzma_memusage(context), limit: memoryLimit)
        case LZMA_MEM_ERROR: throw .noMemory(for: "xz decoder")
        case LZMA_UNSUPPORTED_CHECK:
            throw ImageError(.unsupported, "the xz stream has a checksum of a kind that cannot be proved here")
        case LZMA_OPTIONS_ERROR:
            throw ImageError(.unsupported, "the xz stream uses a filter or an option that liblzma does not know")
        case LZMA_FORMAT_ERROR: throw .damaged("this is no xz stream")
        default: throw .damaged("the xz stream is damaged, or something else follows its end")
        }
    }
}
