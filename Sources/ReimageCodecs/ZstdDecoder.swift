internal import CZstd
public import ReimageCore

/// Decodes runs of zstd frames into a buffer of known length.
///
/// A decoder holds its scratch memory; make one a thread and keep it.
@safe
public final class ZstdDecoder {
    // SAFETY (whole file): the context is made in init and freed in deinit, and has no owner but this object. Buffers
    // are lent to the library for the length of one call.
    private let context: OpaquePointer
    private let windowLimit: UInt64

    /// A decoder that takes windows of up to 2 to the power of `windowLogMax` bytes: 10 to 31.
    /// - Throws: `.exhausted` where there is no memory for it, `.invalidArgument` for a limit out of range.
    public init(windowLogMax: Int = 27) throws(ImageError) {
        guard (10...31).contains(windowLogMax) else {
            throw ImageError(
                .invalidArgument, "a zstd window of 2^\(windowLogMax) bytes is out of range (2^10 to 2^31)")
        }
        guard let context = unsafe ZSTD_createDCtx() else { throw .noMemory(for: "zstd decoder") }
        unsafe self.context = context
        windowLimit = 1 << UInt64(windowLogMax)
        unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(windowLogMax))
    }

    deinit { unsafe ZSTD_freeDCtx(context) }

    /// Fills `target` with what the frames at the start of `source` decode to.
    ///
    /// Takes concatenated frames with skippable ones between them, and stops with the frame that fills `target`; what
    /// follows it is ignored, because a stored length is often known to a sector only.
    /// - Throws: `.damaged` where a frame is invalid, cut short, has a wrong checksum, needs a larger window or passes
    ///   the end of `target`, and where all frames together give fewer bytes; `target` then holds anything.
    public func decode(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) {
        _ = try decodeMeasured(source, into: &target)
    }

    /// Does what ``decode(_:into:)`` does, and tells the length of the frame in bytes, where it is one that gives all of
    /// `target`; else `nil`.
    public func decodeMeasured(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) -> Int? {
        var consumed = 0
        var produced = 0
        var frames = 0
        while produced < target.byteCount {
            guard consumed < source.byteCount else {
                throw .damaged("zstd frames end after \(produced) of \(target.byteCount) bytes")
            }
            let rest = source.extracting(consumed..<source.byteCount)
            try check(rest, produced: produced, of: target.byteCount)
            let step = try target.withSlice(produced..<target.byteCount) { (room) throws(ImageError) in
                try decodeFrame(rest, into: &room)
            }
            consumed += step.consumed
            produced += step.produced
            frames += 1
        }
        return frames == 1 ? consumed : nil
    }

    /// Whether `source` starts as the frames do that ``decodeSingleFrame(_:into:)`` takes, for `byteCount` bytes.
    public static func isSingleFrame(_ source: RawSpan, of byteCount: Int, windowLogMax: Int) -> Bool {
        guard let header = try? ZstdFrameHeader(decoding: source) else { return false }
        return header.kind == .data && header.contentSize == UInt64(byteCount) && !header.needsDictionary
            && !header.hasChecksum && header.windowSize <= 1 << UInt64(windowLogMax)
    }

    /// Fills `target` with what `source` decodes to, which must be one frame and nothing else: with its content size,
    /// without dictionary and checksum.
    /// - Throws: `.damaged` where it is not, and as ``decode(_:into:)`` does.
    public func decodeSingleFrame(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) {
        try check(source, produced: 0, of: target.byteCount)
        let header = try ZstdFrameHeader(decoding: source)
        guard header.kind == .data else { throw .damaged("a zstd frame is one to be skipped") }
        guard let size = header.contentSize else { throw .damaged("a zstd frame does not tell its content size") }
        guard size == UInt64(target.byteCount) else {
            throw .damaged("a zstd frame holds \(size) bytes where there should be \(target.byteCount)")
        }
        guard !header.needsDictionary else { throw .damaged("a zstd frame needs a dictionary, and there is none") }
        guard !header.hasChecksum else { throw .damaged("a zstd frame has a checksum where there should be none") }
        let step = try decodeFrame(source, into: &target)
        guard step.produced == target.byteCount else {
            throw .damaged("a zstd frame ends after \(step.produced) of \(target.byteCount) bytes")
        }
        guard step.consumed == source.byteCount else {
            throw .damaged("\(source.byteCount - step.consumed) bytes follow the end of a zstd frame")
        }
    }

    /// Refuses by its header a frame that cannot be decoded here, with the reason the library has no words for.
    private func check(_ frame: RawSpan, produced: Int, of count: Int) throws(ImageError) {
        guard ZstdFrameHeader.isFrame(frame) else {
            throw .damaged("there is no zstd frame after \(produced) of \(count) bytes")
        }
        guard let header = try? ZstdFrameHeader(decoding: frame) else { throw .damaged("a zstd frame is cut short") }
        guard header.kind == .data else { return }
        guard header.windowSize <= windowLimit else {
            throw .damaged("a zstd frame needs a window of \(header.windowSize) bytes, more than \(windowLimit)")
        }
        if let size = header.contentSize, size > UInt64(count - produced) { throw .passesTarget }
    }

    private func decodeFrame(
        _ source: RawSpan, into target: inout MutableRawSpan
    ) throws(ImageError) -> (consumed: Int, produced: Int) {
        let result = unsafe source.withUnsafeBytes { input in
            unsafe target.withUnsafeMutableBytes { output in
                Result { () throws(ImageError) in try unsafe decodeFrame(input, into: output) }
            }
        }
        return try result.get()
    }

    private func decodeFrame(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(ImageError) -> (consumed: Int, produced: Int) {
        unsafe ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        var input = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var output = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        while true {
            let before = unsafe input.pos + output.pos
            let result = unsafe ZSTD_decompressStream(context, &output, &input)
            if ZSTD_isError(result) != 0 { throw .zstd(result) }
            if result == 0 { return unsafe (input.pos, output.pos) }
            if unsafe input.pos + output.pos > before { continue }
            // No progress: either the input ran out, or there is output that has no room.
            throw unsafe holdsOutput(&input) ? .passesTarget : .damaged("a zstd frame is cut short")
        }
    }

    private func holdsOutput(_ input: inout ZSTD_inBuffer) -> Bool {
        var byte: UInt8 = 0
        return unsafe withUnsafeMutableBytes(of: &byte) { byte in
            var output = unsafe ZSTD_outBuffer(dst: byte.baseAddress, size: 1, pos: 0)
            let result = unsafe ZSTD_decompressStream(context, &output, &input)
            return unsafe ZSTD_isError(result) == 0 && output.pos > 0
        }
    }
}

extension ImageError {
    fileprivate static var passesTarget: ImageError {
        .damaged("a zstd frame gives more bytes than there is room for")
    }

    /// The library's error `code` in the words of this one.
    static func zstd(_ code: Int) -> ImageError {
        switch ZSTD_getErrorCode(code) {
        case ZSTD_error_memory_allocation: return .noMemory(for: "zstd decoder")
        case ZSTD_error_checksum_wrong: return .damaged("the checksum of a zstd frame is wrong")
        case ZSTD_error_frameParameter_windowTooLarge: return .damaged("a zstd frame needs too large a window")
        case ZSTD_error_dictionary_wrong: return .damaged("a zstd frame needs a dictionary, and there is none")
        default:
            // SAFETY: the library returns a constant string for every code.
            return .damaged("a zstd frame is invalid (\(unsafe String(cString: ZSTD_getErrorName(code))))")
        }
    }
}
