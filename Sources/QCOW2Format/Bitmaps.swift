internal import ReimageCore

/// A bitmap of changed guest bytes, as `info` lists it; its bits are not read.
/// - Source: qcow2 specification, "Bitmaps".
struct Bitmap: Sendable {
    /// The bits of an entry's flags.
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt32

        /// A writer had it open and did not close it: it cannot be trusted.
        static let inUse = Flags(rawValue: 1 << 0)
        /// Writers must keep it up to date.
        static let auto = Flags(rawValue: 1 << 1)
        /// Extra data may be kept by who does not know it.
        static let extraDataCompatible = Flags(rawValue: 1 << 2)
        static let known: Flags = [.inUse, .auto, .extraDataCompatible]
    }

    var name: String
    var granularityBits: Int
    var flags: Flags
    /// The place of its table, and the number of the table's entries.
    var tableOffset: UInt64
    var tableCount: UInt32

    /// The directory's entries. A damaged directory loses no guest byte, so the caller makes a remark of the error.
    /// - Parameter extension: the data of the header extension, and its place.
    static func list(
        _ store: any ByteStore, extension: (place: HostOffset, data: [UInt8]), clusterSize: UInt64
    ) throws(ImageError) -> [Bitmap] {
        let (count, range) = try directory(of: `extension`, fileByteCount: store.byteCount, clusterSize: clusterSize)
        var bitmaps: [Bitmap] = []
        var position = 0
        for index in 0..<count {
            let (bitmap, length) = try entry(index, store, range, position, clusterSize)
            bitmaps.append(bitmap)
            position += (length + 7) / 8 * 8
        }
        return bitmaps
    }

    /// The number of bitmaps, and where the directory lies that lists them.
    static func directory(
        of extension: (place: HostOffset, data: [UInt8]), fileByteCount: UInt64, clusterSize: UInt64
    ) throws(ImageError) -> (count: UInt32, range: TableRange) {
        let place = `extension`.place
        guard `extension`.data.count == 24 else {
            throw .damaged("the bitmaps extension has \(`extension`.data.count) bytes, not 24", at: place)
        }
        let (count, size, offset) = try `extension`.data.withBytes { (data) throws(ImageError) in
            (try data.big(UInt32.self, at: 0), try data.big(UInt64.self, at: 8), try data.big(UInt64.self, at: 16))
        }
        guard (1...65535).contains(count) else { throw .damaged("nb_bitmaps is \(count)", at: place) }
        guard size <= 64 << 20 else {
            throw .damaged("the bitmap directory has \(size) bytes, more than 64 MiB", at: place + 8)
        }
        guard offset % clusterSize == 0, offset >= clusterSize else {
            throw .damaged("the bitmap directory's offset \(offset) is not that of a cluster", at: place + 16)
        }
        let range = try TableRange(
            "the bitmap directory", offset: offset, count: size, stride: 1, within: fileByteCount)
        return (count, range)
    }

    private static func entry(
        _ index: UInt32, _ store: any ByteStore, _ directory: TableRange, _ position: Int, _ clusterSize: UInt64
    ) throws(ImageError) -> (Bitmap, Int) {
        let fixed = 24
        let place = directory.start + UInt64(position)
        let what = "bitmap directory entry \(index)"
        guard position <= directory.count - fixed else {
            throw .damaged("\(what) passes the end of the directory", at: place)
        }
        let bytes = try store.bytes(at: place, count: fixed)
        let (entry, nameCount) = try bytes.withBytes { (bytes) throws(ImageError) in
            let table = try bytes.big(UInt64.self, at: 0)
            let entries = try bytes.big(UInt32.self, at: 8)
            let flags = Flags(rawValue: try bytes.big(at: 12))
            let granularity = Int(try bytes.big(UInt8.self, at: 17))
            let extra = try bytes.big(UInt32.self, at: 20)
            guard table != 0, table % clusterSize == 0, table < store.byteCount, entries != 0 else {
                throw .damaged("\(what): its table of \(entries) entries at \(table) cannot be", at: place)
            }
            guard flags.isSubset(of: .known) else {
                throw .damaged("\(what): reserved flags are set", at: place + 12)
            }
            guard try bytes.big(UInt8.self, at: 16) == 1 else {
                throw .damaged("\(what): its type is not known", at: place + 16)
            }
            guard (9...31).contains(granularity) else {
                throw .damaged("\(what): its granularity is 2^\(granularity) bytes", at: place + 17)
            }
            guard extra == 0 else { throw .damaged("\(what): it has extra data", at: place + 20) }
            let nameCount = Int(try bytes.big(UInt16.self, at: 18))
            guard (1...1023).contains(nameCount), nameCount <= directory.count - position - fixed else {
                throw .damaged("\(what): its name has \(nameCount) bytes", at: place + 18)
            }
            let bitmap = Bitmap(
                name: "", granularityBits: granularity, flags: flags, tableOffset: table, tableCount: entries)
            return (bitmap, nameCount)
        }
        let name = try store.bytes(at: place + UInt64(fixed), count: nameCount)
        var bitmap = entry
        bitmap.name = String(decoding: name, as: UTF8.self)
        return (bitmap, fixed + nameCount)
    }
}
