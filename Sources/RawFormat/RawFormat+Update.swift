public import ReimageCore

extension RawFormat {
    /// Opens the bytes of a store as a disk that is written in place.
    public func openForWriting(
        _ target: UpdateTarget, _ context: OpenContext
    ) throws(ImageError) -> any WritableDisk {
        try refuseSnapshot(context, in: target.source)
        return RawWritableDisk(target.store)
    }

    /// Cuts or extends the store to exactly the length asked for; what is new reads as zeros.
    /// - Throws: `.refused` for a shorter disk without leave; `.invalidArgument` for an unknown preallocation, or one of
    ///   a disk that does not grow.
    public func resize(
        _ target: UpdateTarget, _ request: ResizeRequest, _ context: OpenContext
    ) throws(ImageError) {
        do {
            try resize(target.store, request)
        } catch {
            throw error.inFile(target.store.name)
        }
    }

    private func resize(_ store: any UpdatableStore, _ request: ResizeRequest) throws(ImageError) {
        let option = RawPreallocation.option
        let name = request.preallocation ?? RawPreallocation.off.rawValue
        guard let preallocation = RawPreallocation(rawValue: name) else {
            throw ImageError(
                .invalidArgument, "a raw disk has no preallocation '\(name)'", advice: "It is one of: \(option.values)."
            )
        }
        let old = store.byteCount
        let new = request.byteCount
        guard preallocation == .off || new > old else {
            throw ImageError(.invalidArgument, "preallocation is for disks that grow")
        }
        guard new >= old || request.allowsShrinking else {
            throw ImageError(
                .refused, "the disk has \(old) bytes; making it \(new) bytes long would cut off its end",
                advice: "If what lies there may be lost, pass --shrink.")
        }
        guard new != old else { return }
        try store.setByteCount(new)
        if preallocation != .off {
            do throws(ImageError) {
                try store.zero(HostRange(from: HostOffset(old), to: HostOffset(new)), mode: preallocation.zeroMode)
            } catch {
                // Without the space that was asked for, the disk stays as it was.
                try store.setByteCount(old)
                throw error
            }
        }
        try store.sync()
    }
}

/// A store shown as a disk, and written as one.
private struct RawWritableDisk: WritableDisk {
    private let store: any UpdatableStore
    private let disk: RawDisk

    init(_ store: any UpdatableStore) {
        self.store = store
        disk = RawDisk(store: store)
    }

    var byteCount: UInt64 { disk.byteCount }
    var sectorSize: Int { disk.sectorSize }
    var stores: [any ByteStore] { disk.stores }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        try disk.extent(at: offset, limit: limit, layers: layers, detail: detail)
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { try disk.makeCursor() }

    func write(_ bytes: RawSpan, at offset: GuestOffset) throws(ImageError) {
        let range = try place(GuestRange(start: offset, count: UInt64(bytes.byteCount)))
        try store.write(bytes, at: range.start)
    }

    func zero(_ range: GuestRange, mayUnmap: Bool) throws(ImageError) {
        try store.zero(try place(range), mode: mayUnmap ? .sparse : .allocated)
    }

    func discard(_ range: GuestRange) throws(ImageError) { try store.zero(try place(range), mode: .sparse) }

    func flush() throws(ImageError) { try store.sync() }

    /// The same bytes in the store: a write past the end would make the disk longer.
    private func place(_ range: GuestRange) throws(ImageError) -> HostRange {
        let length = byteCount
        guard range.start.value <= length, range.count <= length - range.start.value else {
            throw ImageError(
                .invalidArgument, "\(range.count) bytes pass the end of the disk (\(length) bytes)",
                at: .guest(range.start), file: store.name)
        }
        return HostRange(start: HostOffset(range.start.value), count: range.count)
    }
}
