internal import CZstd
internal import ReimageCore

/// Decodes zstd: frames one after the other, skippable ones among them.
@safe
final class ZstdEngine: WrapperEngine {
    // SAFETY (whole file): the context is made in init, freed in deinit, and has no owner but this object; the caller
    // lends the buffers for the length of a step.
    private let context: OpaquePointer
    private let memoryLimit: UInt64
    private var isInFrame = false
    private var hasSeenFrame = false

    let lookahead = ZstdFrameHeader.largestSize

    init(memoryLimit: UInt64) throws(ImageError) {
        self.memoryLimit = memoryLimit
        guard let context = unsafe ZSTD_createDCtx() else { throw .noMemory(for: "zstd decoder") }
        unsafe self.context = context
        // Every frame's window is compared with the limit here; the library's own limit is a power of two.
        unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 31)
    }

    deinit { unsafe ZSTD_freeDCtx(context) }

    func step(
        _ input: UnsafeRawBufferPointer, isLast: Bool, _ output: UnsafeMutableRawBufferPointer,
        progress: inout WrapperProgress
    ) throws(ImageError) -> Bool {
        if !isInFrame {
            if unsafe input.isEmpty {
                guard hasSeenFrame else { throw .cutShort(.zstd) }
                return true
            }
            unsafe try check(input.bytes)
            isInFrame = true
            hasSeenFrame = true
        }
        var source = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let result = unsafe ZSTD_decompressStream(context, &target, &source)
        progress.consumed = unsafe source.pos
        progress.produced = unsafe target.pos
        if ZSTD_isError(result) != 0 { throw .zstd(result) }
        if result == 0 {
            isInFrame = false
        } else if progress.consumed + progress.produced == 0 {
            throw .cutShort(.zstd)
        }
        return false
    }

    /// Refuses by its header a frame that is none, or that needs what there is not.
    private func check(_ frame: RawSpan) throws(ImageError) {
        guard ZstdFrameHeader.isFrame(frame) else {
            throw hasSeenFrame ? .trailingGarbage(.zstd) : .damaged("this is no zstd stream")
        }
        guard let header = try? ZstdFrameHeader(decoding: frame) else { throw .cutShort(.zstd) }
        if header.needsDictionary {
            throw ImageError(.unsupported, "the zstd stream needs a dictionary, and there is none")
        }
        if header.windowSize > memoryLimit {
            throw .overMemoryLimit(.zstd, needs: header.windowSize, limit: memoryLimit)
        }
    }
}
