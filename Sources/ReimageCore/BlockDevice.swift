/// The guest's disk: what a format makes out of a store.
///
/// All calls block and may come from many threads at once.
public protocol BlockDevice: Sendable {
    /// The length in bytes; any number, not only whole sectors.
    var byteCount: UInt64 { get }
    /// The logical sector in bytes.
    var sectorSize: Int { get }
    /// Every store that this disk reads from, the layers below included.
    var stores: [any ByteStore] { get }
    /// The unit in bytes, a power of two, that is cheapest to read whole and aligned: a compressed cluster is decoded
    /// as one, however little of it is asked for.
    var readUnit: Int { get }

    /// The run at `offset`: one kind, one layer, stored in one piece; at most `limit` bytes.
    ///
    /// `offset` lies below ``byteCount`` and `limit` is at least 1. Neighbours of one kind are merged as far as that
    /// is cheap; a caller must not take the end of a run for a change of kind.
    /// - Throws: `.damaged` with the table's place where the mapping is invalid.
    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent

    /// A reader for one thread.
    func makeCursor() throws(ImageError) -> any DiskCursor
}

extension BlockDevice {
    public var readUnit: Int { sectorSize }

    /// The run at `offset` as a guest sees it, host holes shown as what they read as.
    public func extent(at offset: GuestOffset, limit: UInt64) throws(ImageError) -> Extent {
        try extent(at: offset, limit: limit, layers: .flattened, detail: .storage)
    }
}

/// One thread's reader of a disk: decoder contexts, the table last used, scratch memory.
public protocol DiskCursor: AnyObject {
    /// Fills `buffer` with the guest's bytes from `offset`; zeros where nothing is stored.
    ///
    /// The range lies inside the disk.
    /// - Throws: `.damaged` where stored bytes are missing or do not decode, `.unreadable` on an I/O error.
    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError)

    /// The parts of the last read that could not be given and were filled with zeros instead of failing, ascending: only
    /// from disks that were opened to give what is left of them.
    var unreadable: [LostRun] { get }

    /// Fills `buffer` as ``read(into:at:)`` does. Where exactly these bytes are one coded unit of the image, it also
    /// appends their stored form, to the byte, to `stored` as far as that has room for all of it.
    ///
    /// - Returns: what was appended; `nil`, and nothing was, where the bytes are stored in any other way.
    func readStored(
        into buffer: inout MutableRawSpan, at offset: GuestOffset, stored: inout OutputRawSpan
    ) throws(ImageError) -> StoredForm?
}

extension DiskCursor {
    public var unreadable: [LostRun] { [] }
}

/// Bytes that a source could not give.
public struct LostRun: Hashable, Sendable {
    public var range: GuestRange
    /// The system's error number; 0 where it is not known.
    public var systemCode: Int32
    /// How often each part was tried.
    public var tries: Int

    public init(_ range: GuestRange, systemCode: Int32 = 0, tries: Int = 1) {
        self.range = range
        self.systemCode = systemCode
        self.tries = tries
    }
}

/// Bytes that come front to back only: a pipe, a decoder's output.
///
/// One caller at a time, from any thread.
public protocol ByteStream: AnyObject, Sendable {
    /// The name to show.
    var name: String { get }

    /// Appends to `buffer` until it is full or the stream ends; a buffer left with room means the end.
    func read(into buffer: inout OutputRawSpan) throws(ImageError)
}

/// A disk that comes front to back only.
public protocol DiskStream: ByteStream {
    /// The length in bytes where it is known; some streams tell it only with their last bytes.
    var byteCount: UInt64? { get }
}

/// A disk that comes front to back as runs: zeros are passed over, however many, and data that came can be decoded by
/// any thread until it is let go.
///
/// One caller at a time moves on, cursors read meanwhile.
public protocol RunStream: DiskStream {
    /// The unit in bytes, a power of two, that data is read in: whole, but for the disk's end.
    var readUnit: Int { get }

    /// Moves behind the next run and tells of it. Data comes in runs of at most one unit; zeros come as they are told.
    /// - Returns: `nil` at the end, when all that the stream says of itself was proved.
    /// - Throws: `.damaged` where it is cut short or contradicts itself.
    func advance() throws(ImageError) -> Extent?

    /// A reader for one thread of what ``advance()`` passed as data.
    func makeCursor() throws(ImageError) -> any DiskCursor

    /// Lets go of all data before `offset`: it was written, and can be had from ``EarlierBytes/reader(_:)``.
    func release(before offset: GuestOffset)

    /// Says where bytes come from that are those of an earlier part of the disk; by default they are refused once that
    /// part was let go.
    func useEarlierBytes(_ source: EarlierBytes)

    /// The content digest (RDD1, 32 bytes) of the disk, once ``advance()`` gave `nil` and every byte was read; `nil` where
    /// the stream has none.
    var provenDigest: [UInt8]? { get }
}

/// Where a stream finds the bytes again that it gave before.
public enum EarlierBytes: Sendable {
    /// Nowhere.
    case none
    /// Nobody needs them: whoever reads only proves the stream.
    case notNeeded
    /// What was written: fills the buffer with the guest's bytes from an offset.
    case reader(@Sendable (inout MutableRawSpan, GuestOffset) throws(ImageError) -> Void)
}

/// A disk as a source offers it.
public enum DiskContent: Sendable {
    /// Readable at any offset.
    case random(any BlockDevice)
    /// Readable once, front to back.
    case stream(any DiskStream)

    /// What is decoded at once, in bytes; 0 where nothing is.
    public var readUnit: Int {
        switch self {
        case .random(let disk): disk.readUnit
        case .stream(let stream as any RunStream): stream.readUnit
        case .stream: 0
        }
    }
}
