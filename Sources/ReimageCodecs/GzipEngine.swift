internal import CZlib
internal import ReimageCore

/// Decodes gzip: members one after the other, with zeros allowed behind the last one, as `gzip` itself has it.
@safe
final class GzipEngine: WrapperEngine {
    // SAFETY (whole file): the context is made in init, freed in deinit, and has no owner but this object; the caller
    // lends the buffers for the length of a step.
    private enum State {
        case member
        case betweenMembers
        case padding
    }

    private let context: UnsafeMutablePointer<z_stream>
    private var state = State.member

    let lookahead = 1

    init() throws(ImageError) {
        unsafe context = .allocate(capacity: 1)
        unsafe context.initialize(to: z_stream())
        // 16 more than the window bits asks for gzip members, and has their checksums and lengths compared.
        let made = unsafe inflateInit2_(context, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard made == Z_OK else { throw .noMemory(for: "gzip decoder") }
    }

    deinit {
        unsafe inflateEnd(context)
        unsafe context.deallocate()
    }

    func step(
        _ input: UnsafeRawBufferPointer, isLast: Bool, _ output: UnsafeMutableRawBufferPointer,
        progress: inout WrapperProgress
    ) throws(ImageError) -> Bool {
        switch state {
        case .member: try unsafe decode(input, isLast: isLast, output, progress: &progress)
        case .betweenMembers:
            guard let first = unsafe input.first else { return true }
            // The first byte of the magic number: decode it, and let zlib find out about the second.
            guard first == 0x1F else {
                state = .padding
                return false
            }
            unsafe inflateReset(context)
            state = .member
        case .padding:
            progress.consumed = unsafe input.firstIndex { $0 != 0 } ?? input.count
            if progress.consumed < input.count { throw .trailingGarbage(.gzip) }
            return isLast
        }
        return false
    }

    private func decode(
        _ input: UnsafeRawBufferPointer, isLast: Bool, _ output: UnsafeMutableRawBufferPointer,
        progress: inout WrapperProgress
    ) throws(ImageError) {
        // zlib counts in 32 bits.
        let room = unsafe UnsafeMutableRawBufferPointer(rebasing: output.prefix(1 << 30))
        unsafe context.pointee.lend(input, room)
        let result = unsafe inflate(context, Z_NO_FLUSH)
        progress.consumed = unsafe input.count - Int(context.pointee.avail_in)
        progress.produced = unsafe room.count - Int(context.pointee.avail_out)
        switch result {
        case Z_OK where progress.consumed + progress.produced > 0: break
        case Z_OK, Z_BUF_ERROR: throw .cutShort(.gzip)
        case Z_STREAM_END: state = .betweenMembers
        case Z_MEM_ERROR: throw .noMemory(for: "gzip decoder")
        default:
            // SAFETY: zlib's messages are constant strings.
            let reason = unsafe context.pointee.msg.map { unsafe String(cString: $0) } ?? "error \(result)"
            throw .damaged("the gzip stream is damaged: \(reason)")
        }
    }
}
