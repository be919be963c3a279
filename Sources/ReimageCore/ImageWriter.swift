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

/// How the data of an image is to be compressed; what is not given is the format's default.
public struct CompressionRequest: Hashable, Sendable {
    /// The method.
    public var codec: Codec?
    /// How hard to try, by the method's own numbers.
    public var level: Int?

    public init(codec: Codec? = nil, level: Int? = nil) {
        self.codec = codec
        self.level = level
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
    /// How the data is compressed; `nil` stores it as it is.
    public var compression: CompressionRequest?
    /// Whether everything is to be compressed anew, even what the source stores in the same way.
    public var recompresses = false
    /// The image that decides where nothing is stored: the name to store for it, and its format.
    ///
    /// The pipeline then calls `hole` what reads as in that image, and `zero` what must read as zeros in front of it.
    public var backing: Reference?
    /// What is known of that image, where the format keeps more of it than a name.
    public var backingFacts: BackingFacts?
    /// When the image is made, and the number that tells it from all others.
    public var stamp: ImageStamp
    /// What the disk was before, where the image is to keep that.
    public var origin: DiskOrigin?
    /// The name by which the image is to refer to a file, from the path that the user gave for it.
    public var nameInImage: @Sendable (String) throws(ImageError) -> String

    public init(
        byteCount: UInt64?, options: [String: String] = [:], sink: StoreTraits = StoreTraits(),
        sparseGrain: Int = 4096, compression: CompressionRequest? = nil, backing: Reference? = nil,
        backingFacts: BackingFacts? = nil, stamp: ImageStamp = ImageStamp(),
        nameInImage: @escaping @Sendable (String) throws(ImageError) -> String = WritePlan.sameName
    ) {
        self.byteCount = byteCount
        self.options = options
        self.sink = sink
        self.sparseGrain = sparseGrain
        self.compression = compression
        self.backing = backing
        self.backingFacts = backingFacts
        self.stamp = stamp
        self.nameInImage = nameInImage
    }

    /// Refers to a file by the path as it was given.
    @Sendable public static func sameName(_ path: String) throws(ImageError) -> String { path }
}

/// What a disk was when it was captured.
public struct DiskOrigin: Sendable, Hashable {
    public var path: String
    public var byteCount: UInt64
    public var model: String?
    public var serial: String?

    public init(path: String, byteCount: UInt64, model: String? = nil, serial: String? = nil) {
        self.path = path
        self.byteCount = byteCount
        self.model = model
        self.serial = serial
    }
}

/// What an image may keep of the one below it, besides its name.
public struct BackingFacts: Sendable, Hashable {
    /// The absolute path of its file.
    public var path: String
    /// The number that tells it from all others, where its format has one.
    public var uniqueID: [UInt8]?
    /// When its file was last changed, in seconds since 1970.
    public var modificationSeconds: Int64?

    public init(path: String, uniqueID: [UInt8]? = nil, modificationSeconds: Int64? = nil) {
        self.path = path
        self.uniqueID = uniqueID
        self.modificationSeconds = modificationSeconds
    }
}

/// What two images of the same disk, made the same way, may differ in.
///
/// It is decided before the first byte is written: an image that goes into a pipe is laid out twice, and both times must
/// give the same bytes.
public struct ImageStamp: Sendable, Hashable {
    /// When the image is made, in seconds since 1970.
    public var seconds: Int64
    /// 16 random bytes for the image's own number; `nil` takes a number from the content, so that the same disk gives
    /// the same bytes.
    public var uniqueID: [UInt8]?

    public init(seconds: Int64 = 0, uniqueID: [UInt8]? = nil) {
        self.seconds = seconds
        self.uniqueID = uniqueID
    }

    /// Whether the same disk is to give the same bytes at any time.
    public var isDeterministic: Bool { uniqueID == nil }
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
    /// The most guest bytes that one call of ``ImageWriter/skip(_:_:into:)`` may pass, so that the tables it makes stay
    /// within memory; a multiple of `chunkSize`.
    public var longestSkip: UInt64
    /// What must be known of the disk before its image can go front to back.
    public var lookAhead: LookAhead
    /// Whether the image keeps the disk's digest, or something made from it: ``WrittenDisk/digest`` is then given where
    /// every byte was read.
    public var digest: Bool
    /// How zeros among data are put into the image where its data may be shared with the source's file and not be read;
    /// `nil` where the writer has to see every byte, or promises space of its own.
    public var sharing: ZeroMode?
    /// Whether its encoders may be asked to ``ChunkEncoder/adopt(_:_:of:)`` chunks as the source stores them.
    public var adopts: Bool

    /// The memory that one encoder takes, in bytes. Where it is much, no more of them work than there are processors, and
    /// than there is memory for.
    public var encoderByteCount = 0

    /// What a writer whose tables lie before the data must know to write to a pipe.
    public enum LookAhead: Hashable, Sendable {
        /// Nothing: it writes front to back by itself, or never to a pipe.
        case none
        /// Which runs hold data.
        case extents
        /// How long every chunk is once it is encoded, or which of them are stored.
        case content
    }

    public init(
        chunkSize: Int, grainSize: Int, ascending: Bool = true, padsLastChunk: Bool = false, encodedBound: Int = 0,
        longestSkip: UInt64 = .max, lookAhead: LookAhead = .none, digest: Bool = false, sharing: ZeroMode? = nil,
        adopts: Bool = false
    ) {
        self.adopts = adopts
        self.sharing = sharing
        self.digest = digest
        self.longestSkip = longestSkip
        self.lookAhead = lookAhead
        self.chunkSize = chunkSize
        self.grainSize = grainSize
        self.ascending = ascending
        self.padsLastChunk = padsLastChunk
        self.encodedBound = encodedBound
    }
}

/// How an encoder stored a chunk.
public enum Encoding: Hashable, Sendable {
    /// No grain of it holds data; the map tells zeros and holes apart.
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

    /// Takes `stored`, which decodes to `chunk`, for the chunk's stored form as it is.
    /// - Returns: how the chunk is then stored; `nil` where it has to be encoded.
    func adopt(_ stored: RawSpan, _ form: StoredForm, of chunk: RawSpan) throws(ImageError) -> Encoding?

    /// What the writer is to know of the chunk encoded last, in a form that is between the two: ``Chunk/facts``.
    var facts: [UInt8] { get }
}

extension ChunkEncoder {
    public var facts: [UInt8] { [] }
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
    /// What its encoder noted for the writer, for instance a hash; empty where it was not encoded.
    public var facts: [UInt8]
    /// Which of its bytes the source could not give, and how it failed, where that is known.
    public var lost: [LostRun] = []

    public init(
        range: GuestRange, encoding: Encoding, input: Range<Int>, encoded: Range<Int> = 0..<0, facts: [UInt8] = []
    ) {
        self.facts = facts
        self.range = range
        self.encoding = encoding
        self.input = input
        self.encoded = encoded
    }
}

/// The disk that was written, once it is known to its end.
public struct WrittenDisk: Sendable, Hashable {
    /// Its length in bytes.
    public var byteCount: UInt64
    /// The 32 bytes of its content digest (RDD1); `nil` where it was not computed.
    public var digest: [UInt8]?

    public init(byteCount: UInt64, digest: [UInt8]? = nil) {
        self.byteCount = byteCount
        self.digest = digest
    }
}

/// One pass over a disk: decides where everything goes, and does no I/O itself.
///
/// Only one thread at a time calls it.
public protocol ImageWriter: AnyObject {
    /// What it wants; constant.
    var needs: WriterNeeds { get }

    /// The path of a second file, which the guest's data goes to; `nil` where all is in one.
    var dataFile: String? { get }

    /// Sentences that the user should read of the image; complete once it is finished.
    var remarks: [String] { get }

    /// The most bytes that the image of a disk of `byteCount` bytes can take, all of them data.
    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64

    /// An encoder for one thread; `nil` where chunks are stored as they are. It is not asked for chunks without data.
    func makeEncoder() throws(ImageError) -> (any ChunkEncoder)?

    /// What is written before the first chunk.
    func begin(into placement: inout Placement) throws(ImageError)

    /// Tells a writer whose plan had no length that the disk ends at `end`: before the last chunk or run is placed. A
    /// writer that takes chunks in order has all others by then.
    func diskEnds(at end: GuestOffset) throws(ImageError)

    /// Places a run of holes or zeros, whole chunks but for the disk's end, in one call.
    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError)

    /// Places one chunk; `map` tells the kind of every grain of the batch's input.
    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError)

    /// Completes the image of `disk`.
    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError)
}

extension ImageWriter {
    public var dataFile: String? { nil }
    public var remarks: [String] { [] }
    public func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? { nil }
    public func begin(into placement: inout Placement) throws(ImageError) {}
    public func diskEnds(at end: GuestOffset) throws(ImageError) {}
}
