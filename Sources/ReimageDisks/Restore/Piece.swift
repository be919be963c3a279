internal import ReimageCore
internal import ReimageSystem
internal import Synchronization

/// Up to a MiB of the image on its way to every target.
///
/// One thread fills it; then many read it, and the last of them gives it back.
final class Piece: @unchecked Sendable {
    // SAFETY: the buffer and its range are written by the thread that took the piece from the pool, before it hands the
    // piece to others through a lock; after that they are only read.

    /// The length of a piece in bytes.
    static let byteCount = 1 << 20

    private(set) var buffer = AlignedBuffer(byteCount: Piece.byteCount)
    /// Where the bytes lie on the disk.
    var range = HostRange(start: .zero, count: 0)
    private let users = Atomic<Int>(0)

    /// The bytes in use.
    var span: Range<Int> { 0..<Int(range.count) }

    /// Fills the buffer; by the thread that took the piece.
    func fill<Value>(
        _ body: (inout AlignedBuffer) throws(ImageError) -> Value
    ) throws(ImageError) -> Value { try body(&buffer) }

    func withBytes<Value>(_ body: (RawSpan) throws(ImageError) -> Value) throws(ImageError) -> Value {
        try buffer.withBytes(span, body)
    }

    /// Says how many are going to read it.
    func share(with count: Int) { users.store(count, ordering: .sequentiallyConsistent) }

    /// Whether the caller was the last reader.
    func leave() -> Bool { users.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 }
}

/// The pieces there are; who wants one waits until one is free. So the slowest target bounds how far the reading is ahead.
final class PiecePool: Sendable {
    private struct State {
        var free: [Piece] = []
        var isClosed = false
    }

    private let state: Monitor<State>

    init(count: Int) { state = Monitor(State(free: (0..<count).map { _ in Piece() })) }

    /// A piece; `nil` once the pool is closed.
    func take() -> Piece? {
        state.update(when: { !$0.free.isEmpty || $0.isClosed }) { $0.isClosed ? nil : $0.free.removeLast() }
    }

    func give(_ piece: Piece) { state.update { $0.free.append(piece) } }

    /// Lets everybody who waits go without.
    func close() { state.update { $0.isClosed = true } }
}
