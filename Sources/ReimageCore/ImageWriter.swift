/// An option that a writer takes, as `-o help` lists it.
public struct WriterOption: Hashable, Sendable {
    /// The name.
    public var name: String
    /// The values it takes, for instance `off|falloc|full`.
    public var values: String
    /// What it does, as one line.
    public var summary: String

    public init(_ name: String, values: String, summary: String) {
        self.name = name
        self.values = values
        self.summary = summary
    }
}

/// What a writer is asked to write.
public struct WritePlan: Sendable {
    /// The disk's length in bytes; `nil` where the source does not tell before its end.
    public var byteCount: UInt64?
    /// Options by name, as the user gave them.
    public var options: [String: String]
    /// What the target can do.
    public var sink: StoreTraits
    /// The run of zeros that is worth a hole, in bytes: a power of two of at least 512; 0 stores zeros as data.
    public var sparseGrain: Int

    public init(
        byteCount: UInt64?, options: [String: String] = [:], sink: StoreTraits = StoreTraits(), sparseGrain: Int = 4096
    ) {
        self.byteCount = byteCount
        self.options = options
        self.sink = sink
        self.sparseGrain = sparseGrain
    }
}

/// What a writer wants of the pipeline.
public struct WriterNeeds: Sendable, Hashable {
    /// The unit that is encoded and placed, in guest bytes: a power of two. Chunks are aligned to it; the last one of
    /// a disk is shorter where `padsLastChunk` is not set, and padded with zeros where it is.
    public var chunkSize: Int
    /// The unit of the grain map in guest bytes: a power of two, at most `chunkSize`.
    public var grainSize: Int
    /// Whether chunks must be placed in ascending order. Without, any order gives the same bytes; a writer that puts
    /// barriers between its chunks has an order.
    public var ascending: Bool
    /// Whether the last chunk is padded to `chunkSize`.
    public var padsLastChunk: Bool
    /// The most bytes an encoder appends for one chunk; 0 where there is no encoder.
    public var encodedBound: Int

    public init(
        chunkSize: Int, grainSize: Int, ascending: Bool = true, padsLastChunk: Bool = false, encodedBound: Int = 0
    ) {
        self.chunkSize = chunkSize
        self.grainSize = grainSize
        self.ascending = ascending
        self.padsLastChunk = padsLastChunk
        self.encodedBound = encodedBound
    }
}

/// How an encoder stored a chunk.
public enum Encoding: Hashable, Sendable {
    /// All of it reads as zeros.
    case zero
    /// The input itself is written; nothing was appended.
    case plain
    /// The appended bytes are written.
    case coded(Codec)
}

/// Turns one chunk into its stored form: a pure function, one encoder a thread.
public protocol ChunkEncoder: AnyObject {
    /// Encodes `chunk`, appending at most ``WriterNeeds/encodedBound`` bytes to `output`.
    func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding
}

/// One chunk on its way to be placed.
public struct Chunk: Sendable {
    /// The guest's bytes it holds; the disk's end cuts the last one, even where its input is padded.
    public var range: GuestRange
    /// How it was encoded.
    public var encoding: Encoding
    /// Where its bytes lie in the batch's input; the grain map covers all of them, padding as zeros.
    public var input: Range<Int>
    /// Where its stored form lies in the batch's output; empty unless coded.
    public var encoded: Range<Int>

    public init(range: GuestRange, encoding: Encoding, input: Range<Int>, encoded: Range<Int> = 0..<0) {
        self.range = range
        self.encoding = encoding
        self.input = input
        self.encoded = encoded
    }
}

/// One pass over a disk: decides where everything goes, and does no I/O itself.
///
/// Only one thread at a time calls it.
public protocol ImageWriter: AnyObject {
    /// What it wants; constant.
    var needs: WriterNeeds { get }

    /// An encoder for one thread; `nil` where chunks are stored as they are.
    func makeEncoder() throws(ImageError) -> (any ChunkEncoder)?

    /// What is written before the first chunk.
    func begin(into placement: inout Placement) throws(ImageError)

    /// Places a run of holes or zeros, whole chunks but for the disk's end, in one call.
    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError)

    /// Places one chunk; `map` tells the kind of every grain of the batch's input.
    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError)

    /// Completes the image of a disk of `byteCount` bytes.
    func finish(byteCount: UInt64, into placement: inout Placement) throws(ImageError)
}

extension ImageWriter {
    public func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? { nil }
    public func begin(into placement: inout Placement) throws(ImageError) {}
}
