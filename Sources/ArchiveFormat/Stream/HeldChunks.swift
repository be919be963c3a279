internal import ReimageCore
internal import Synchronization

/// The chunks of a stream that came and were not yet let go. Safe from any thread.
final class HeldChunks: Sendable {
    /// A stored payload.
    final class Payload: Sendable {
        let buffer: AlignedBuffer
        let count: Int

        init(_ buffer: consuming AlignedBuffer, count: Int) {
            self.buffer = buffer
            self.count = count
        }
    }

    /// What a slot holds.
    struct Held: Sendable {
        /// The slot whose CHNK record it is.
        var source: UInt64
        /// How it is stored, and its hash, which is the node of `height`.
        var entry: IndexEntry
        var height: Int
        /// The bytes of the disk in the CHNK record.
        var rawByteCount: Int
        /// `nil` for a duplicate.
        var payload: Payload?
    }

    private struct State {
        var chunks: [UInt64: Held] = [:]
        var earlier = EarlierBytes.none
    }

    private let state = Mutex(State())

    /// Where the bytes of chunks are that were let go.
    var earlier: EarlierBytes {
        get { state.withLock { $0.earlier } }
        set { state.withLock { $0.earlier = newValue } }
    }

    func insert(_ held: Held, at slot: UInt64) { state.withLock { $0.chunks[slot] = held } }

    /// What `slot` holds, and the payload of the chunk it is, unless that was let go.
    func chunk(of slot: UInt64) -> (held: Held, payload: Payload?)? {
        state.withLock { state in
            guard let held = state.chunks[slot] else { return nil }
            return (held, held.payload ?? state.chunks[held.source]?.payload)
        }
    }

    /// Lets go of all slots before `end`.
    func release(before end: UInt64) {
        state.withLock { state in state.chunks = state.chunks.filter { $0.key >= end } }
    }
}
