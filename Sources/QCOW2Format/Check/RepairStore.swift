internal import ReimageCore

/// The file that a repair writes to: numbers in place, and new clusters behind the end.
///
/// New clusters are counted by no refcount until all are counted anew, which is why a repair sets the dirty bit first.
final class RepairStore {
    let store: any UpdatableStore
    private let clusterSize: UInt64
    private let cancellation: Cancellation
    /// Whether anything was written.
    private(set) var hasChanged = false

    init(_ store: any UpdatableStore, clusterSize: UInt64, cancellation: Cancellation = Cancellation()) {
        self.store = store
        self.cancellation = cancellation
        self.clusterSize = clusterSize
    }

    /// The image as it is now.
    func image() throws(ImageError) -> CheckedImage { try CheckedImage(store, cancellation) }

    /// Writes a number of the file's byte order.
    func put(_ value: UInt64, at place: UInt64) throws(ImageError) { try put([value], at: place) }

    /// Writes numbers side by side, in one go.
    func put(_ values: [UInt64], at place: UInt64) throws(ImageError) {
        var bytes = [UInt8](repeating: 0, count: values.count * 8)
        bytes.withMutableBytes { span in
            for (index, value) in values.enumerated() { span.storeBig(value, at: index * 8) }
        }
        try write(bytes, at: place)
    }

    func write(_ bytes: [UInt8], at place: UInt64) throws(ImageError) {
        hasChanged = true
        try bytes.withBytes { (span) throws(ImageError) in try store.write(span, at: HostOffset(place)) }
    }

    /// Adds `count` clusters of zeros at the end of the file.
    /// - Returns: the place of the first.
    func append(clusters count: UInt64) throws(ImageError) -> UInt64 {
        hasChanged = true
        try fillLastCluster()
        let place = store.byteCount
        let (bytes, overflow) = count.multipliedReportingOverflow(by: clusterSize)
        guard !overflow, bytes < Header.offsetLimit, place < Header.offsetLimit - bytes else {
            throw ImageError(.targetFailed, "has no room for \(count) more clusters: offsets have 56 bits")
        }
        try store.setByteCount(place + bytes)
        return place
    }

    /// Makes the last cluster of the file a whole one.
    func fillLastCluster() throws(ImageError) {
        guard let whole = store.byteCount.roundedUp(to: clusterSize), whole != store.byteCount else { return }
        hasChanged = true
        try store.setByteCount(whole)
    }

    /// Adds a copy of `count` bytes at `place`, on a cluster border; what the end of the file lacks is zeros.
    /// - Parameter lead: how far behind the border the copy begins.
    /// - Returns: the place of the copy.
    func appendCopy(of place: UInt64, count: UInt64, lead: UInt64 = 0) throws(ImageError) -> UInt64 {
        let padded = PaddedStore(store)
        let start = try append(clusters: (lead + count).dividedRoundingUp(by: clusterSize)) + lead
        var done: UInt64 = 0
        while done < count {
            let piece = min(count - done, 1 << 20)
            try write(try padded.bytes(at: HostOffset(place + done), count: Int(piece)), at: start + done)
            done += piece
        }
        return start
    }

    func sync() throws(ImageError) { if hasChanged { try store.sync() } }
}
