internal import ReimageCore

/// A decoder of one wrapper, driven by ``WrapperStream``.
protocol WrapperEngine: AnyObject {
    /// How many bytes of input a step must see at once, unless the input ends before.
    var lookahead: Int { get }

    /// Decodes from the front of `input` to the front of `output`, and tells how far it came in both.
    ///
    /// Either makes progress, or ends the stream, or throws; an `input` that is empty and the last is the end of the
    /// compressed bytes. An error's place is where `progress.consumed` stands.
    /// - Returns: whether the stream has come to its proper end.
    func step(
        _ input: UnsafeRawBufferPointer, isLast: Bool, _ output: UnsafeMutableRawBufferPointer,
        progress: inout WrapperProgress
    ) throws(ImageError) -> Bool
}

/// How far a step came, in bytes.
struct WrapperProgress {
    var consumed = 0
    var produced = 0
}

/// The decoded bytes of a wrapped stream. One caller at a time, from any thread.
@safe
final class WrapperStream: ByteStream, @unchecked Sendable {
    // SAFETY (whole file): ByteStream asks for one caller at a time, so that nothing here is touched by two threads at
    // once. Pointers into the buffers live as long as the call that lends them.
    private static let inputSize = 128 << 10

    private let source: any ByteStream
    private let engine: any WrapperEngine
    private var buffer = AlignedBuffer(byteCount: inputSize)
    private var unread = 0..<0
    /// The place of the first unread byte in the compressed stream.
    private var offset = HostOffset.zero
    private var sourceHasEnded = false
    private var outcome: Result<Void, ImageError>?

    init(_ source: any ByteStream, engine: any WrapperEngine) {
        self.source = source
        self.engine = engine
    }

    var name: String { source.name }

    func read(into output: inout OutputRawSpan) throws(ImageError) {
        do {
            while output.freeCapacity > 0 {
                if let outcome { return try outcome.get() }
                try refill()
                if try step(into: &output) { outcome = .success(()) }
            }
        } catch {
            let error = error.inFile(name)
            outcome = .failure(error)
            throw error
        }
    }

    /// Sees to it that the engine's lookahead is there, or that the source has ended.
    private func refill() throws(ImageError) {
        while unread.count < engine.lookahead, !sourceHasEnded {
            if unread.lowerBound > 0 {
                // What is left is a few bytes: moving them is cheaper than a ring.
                buffer.withMutableBytes { bytes in
                    unsafe bytes.withUnsafeMutableBytes { bytes in
                        unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<unread.count])
                            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[unread]))
                    }
                }
                unread = 0..<unread.count
            }
            let room = unread.upperBound..<Self.inputSize
            let source = source
            let count = try buffer.fill(room) { (output) throws(ImageError) in try source.read(into: &output) }
            // A stream that leaves room has ended.
            sourceHasEnded = count < room.count
            unread = unread.lowerBound..<unread.upperBound + count
        }
    }

    private func step(into output: inout OutputRawSpan) throws(ImageError) -> Bool {
        var progress = WrapperProgress()
        let result = buffer.withBytes(unread) { input in
            unsafe input.withUnsafeBytes { input in
                unsafe output.withUnsafeMutableBytes { target, count in
                    let free = unsafe UnsafeMutableRawBufferPointer(rebasing: target[count...])
                    let result = Result { () throws(ImageError) in
                        try unsafe engine.step(input, isLast: sourceHasEnded, free, progress: &progress)
                    }
                    count += progress.produced
                    return result
                }
            }
        }
        unread = unread.lowerBound + progress.consumed..<unread.upperBound
        offset += UInt64(progress.consumed)
        do { return try result.get() } catch { throw error.at(.host(offset)) }
    }
}

extension ImageError {
    static func cutShort(_ wrapper: Wrapper) -> ImageError {
        .damaged("the \(wrapper.rawValue) stream is cut short", advice: "Is the download or the copy complete?")
    }

    static func trailingGarbage(_ wrapper: Wrapper) -> ImageError {
        .damaged("bytes that are not \(wrapper.rawValue) follow the end of the \(wrapper.rawValue) stream")
    }

    static func overMemoryLimit(_ wrapper: Wrapper, needs: UInt64, limit: UInt64) -> ImageError {
        let mebibytes = needs.dividedRoundingUp(by: 1 << 20)
        return ImageError(
            .unsupported,
            "decoding this \(wrapper.rawValue) stream needs \(needs) bytes of memory (\(mebibytes) MiB), and the limit is "
                + "\(limit)",
            advice: "Allow it with --memory-limit \(mebibytes)M.")
    }
}
