public import ReimageCore
internal import Synchronization

/// Stored bytes in memory: a source for tests, and a target that can be looked at.
///
/// Never-written pages of `holeSize` bytes are reported as holes when `reportsHoles` is set.
public final class MemoryStore: UpdatableStore {
    public let id = StoreID()
    public let name: String
    public let identity: StoreIdentity? = nil
    public let traits: StoreTraits
    private let contents: Mutex<[UInt8]>
    private let holeSize: Int?

    /// A store that holds `bytes`.
    ///
    /// - Parameter holeSize: the run of zero bytes that counts as a hole; `nil` reports everything as data.
    public init(_ bytes: [UInt8], name: String = "memory", holeSize: Int? = nil, traits: StoreTraits = StoreTraits()) {
        self.name = name
        contents = Mutex(bytes)
        self.holeSize = holeSize
        self.traits = traits
    }

    public var byteCount: UInt64 { contents.withLock { UInt64($0.count) } }

    /// All bytes as they are now.
    public var bytes: [UInt8] { contents.withLock { $0 } }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let count = buffer.byteCount
        let byteCount = byteCount
        guard UInt64(count) <= byteCount, offset.value <= byteCount - UInt64(count) else {
            throw ImageError(
                .unreadable, "a read of \(count) bytes passes the end (\(byteCount) bytes)", at: .host(offset),
                file: name)
        }
        let start = Int(offset.value)
        // Copied under the lock: a second owner of the array would make the next write copy all of it.
        let isInside = contents.withLock { contents in
            contents.withBytes { bytes in
                guard start + count <= bytes.byteCount else { return false }
                buffer.copy(from: bytes.extracting(start..<start + count))
                return true
            }
        }
        guard isInside else {
            throw ImageError(.unreadable, "the store was cut while it was read", at: .host(offset), file: name)
        }
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        let most = min(limit, byteCount - offset.value)
        guard let holeSize else { return Extent(.data, count: most) }
        let bytes = contents.withLock { $0 }
        let isHole = Self.pageIsZero(bytes, at: Int(offset.value) / holeSize, of: holeSize)
        var page = Int(offset.value) / holeSize + 1
        while UInt64(page * holeSize) < offset.value + most, Self.pageIsZero(bytes, at: page, of: holeSize) == isHole {
            page += 1
        }
        return Extent(isHole ? .hole : .data, count: min(most, UInt64(page * holeSize) - offset.value))
    }

    private static func pageIsZero(_ bytes: [UInt8], at page: Int, of size: Int) -> Bool {
        bytes.withBytes { $0.extracting(page * size..<min((page + 1) * size, $0.byteCount)).isZero }
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let end = Int(offset.value) + bytes.byteCount
        contents.withLock { contents in
            if contents.count < end { contents += [UInt8](repeating: 0, count: end - contents.count) }
            contents.withMutableBytes { $0.copy(from: bytes, at: Int(offset.value)) }
        }
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        let zeros = [UInt8](repeating: 0, count: Int(range.count))
        try zeros.withBytes { (span) throws(ImageError) in try write(span, at: range.start) }
    }

    public func setByteCount(_ count: UInt64) throws(ImageError) {
        contents.withLock { contents in
            let missing = Int(count) - contents.count
            if missing > 0 { contents += [UInt8](repeating: 0, count: missing) } else { contents.removeLast(-missing) }
        }
    }

    public func sync() throws(ImageError) {}
}
