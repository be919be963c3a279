internal import CLZMA
internal import ReimageCore

/// What is done to a buffer before LZMA2 sees it: relative addresses of calls made absolute, so that they repeat.
public enum LZMA2Filter: UInt8, Sendable, CaseIterable {
    /// Nothing.
    case none = 0
    /// The branch filter for x86 code.
    case x86 = 1
    /// The branch filter for ARM64 code; liblzma knows it from version 5.4 on.
    case arm64 = 2

    /// The filter's number in liblzma.
    var id: lzma_vli? {
        switch self {
        case .none: nil
        case .x86: 0x04
        case .arm64: 0x0A
        }
    }
}

/// The sizes that LZMA2's dictionary can have in bytes, as far as chunks need it.
let lzma2Dictionaries = 4096...(1 << 30)

/// A raw liblzma chain: a filter or none, then LZMA2, with start offset 0.
@safe
final class LZMA2Chain {
    // SAFETY (whole file): the stream and its options are made in init, freed in deinit, and have no owner but this
    // object; the caller lends the buffers for the length of a call, and the filters outlive the call that reads them.
    private let stream: UnsafeMutablePointer<lzma_stream>
    private let options: UnsafeMutablePointer<lzma_options_lzma>

    /// How far one run of the chain came.
    struct Progress {
        var result: lzma_ret
        var consumed: Int
        var produced: Int
    }

    /// A chain with a dictionary of `dictionarySize` bytes; all else that an encoder needs is that of `preset`, 0 to 9.
    init(dictionarySize: Int, preset: UInt32 = 6) throws(ImageError) {
        guard lzma2Dictionaries.contains(dictionarySize) else {
            throw ImageError(.invalidArgument, "an LZMA2 dictionary of \(dictionarySize) bytes is out of range")
        }
        unsafe options = .allocate(capacity: 1)
        unsafe options.initialize(to: lzma_options_lzma())
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: lzma_stream())
        unsafe stream.pointee.allocator = LZMA2Memory.allocator
        // The presets are some that every liblzma has.
        unsafe lzma_lzma_preset(options, preset)
        unsafe options.pointee.dict_size = UInt32(dictionarySize)
    }

    deinit {
        unsafe lzma_end(stream)
        unsafe stream.deallocate()
        unsafe options.deallocate()
    }

    /// Starts the chain anew; memory of the run before is used again.
    func start(_ filter: LZMA2Filter, encoding: Bool) throws(ImageError) {
        let filters = unsafe filters(filter)
        let result = unsafe encoding ? lzma_raw_encoder(stream, filters) : lzma_raw_decoder(stream, filters)
        switch result {
        case LZMA_OK: return
        case LZMA_OPTIONS_ERROR:
            throw ImageError(
                .unsupported, "this liblzma does not know the filter \(filter)",
                advice: "It takes version 5.4 or newer.")
        default: throw .noMemory(for: "LZMA2 \(encoding ? "encoder" : "decoder")")
        }
    }

    private func filters(_ filter: LZMA2Filter) -> [lzma_filter] {
        var filters = unsafe [lzma_filter](repeating: lzma_filter(), count: 3)
        var count = 0
        if let id = filter.id {
            unsafe filters[count] = lzma_filter(id: id, options: nil)
            count += 1
        }
        unsafe filters[count] = lzma_filter(id: 0x21, options: UnsafeMutableRawPointer(options))
        // LZMA_VLI_UNKNOWN, a macro that the importer cannot read, ends the list.
        unsafe filters[count + 1] = lzma_filter(id: .max, options: nil)
        return unsafe filters
    }

    /// What the chain holds while it encodes, in bytes.
    var encoderByteCount: Int { unsafe Int(clamping: lzma_raw_encoder_memusage(filters(.none))) }

    /// Runs the chain over all of `input` until it ends, fails, or `output` is full.
    func run(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Progress {
        unsafe stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_in = input.count
        unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = output.count
        var result: lzma_ret
        repeat {
            result = unsafe lzma_code(stream, LZMA_FINISH)
        } while unsafe result == LZMA_OK && stream.pointee.avail_out > 0
        return unsafe Progress(
            result: result, consumed: input.count - stream.pointee.avail_in,
            produced: output.count - stream.pointee.avail_out)
    }
}
