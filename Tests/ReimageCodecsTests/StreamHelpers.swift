import TestSupport
import ReimageCodecs
import ReimageCore
import ReimageTesting

/// All that `stream` gives, read in pieces of `piece` bytes.
func drain(_ stream: any ByteStream, piece: Int = 65536) throws(ImageError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = AlignedBuffer(byteCount: piece)
    while true {
        let count = try buffer.fill(0..<piece) { (output) throws(ImageError) in try stream.read(into: &output) }
        bytes += try buffer.withBytes(0..<count) { (span) throws(ImageError) in try span.bytes(0..<count) }
        if count < piece { return bytes }
    }
}

/// What `wrapped` decodes to.
func unwrap(
    _ wrapped: [UInt8], _ wrapper: Wrapper, piece: Int = 65536, memoryLimit: UInt64 = 128 << 20
) throws(ImageError) -> [UInt8] {
    let source = StoreStream(MemoryStore(wrapped, name: "sample"))
    return try drain(try wrapper.makeDecoder(source, memoryLimit: memoryLimit), piece: piece)
}

/// Why `wrapped` does not decode, or `nil`.
func unwrapFailure(_ wrapped: [UInt8], _ wrapper: Wrapper, memoryLimit: UInt64 = 128 << 20) -> ImageError? {
    do { _ = try unwrap(wrapped, wrapper, memoryLimit: memoryLimit) } catch { return error }
    return nil
}

/// What the program of `wrapper` makes of `bytes`.
func wrap(_ bytes: [UInt8], _ wrapper: Wrapper, _ options: String...) -> [UInt8]? {
    Tool.output([wrapper.rawValue, "-q", "-c"] + options, input: bytes)
}
