internal import ReimageCore

/// One thread's reader of a dynamic or differencing disk: it holds the table pages used last, and the parent's reader.
final class VHDCursor: DiskCursor {
    private let disk: VHDDisk
    private var lookup = TableLookup()
    private let parent: DiskBelow.Cursor

    init(_ disk: VHDDisk) {
        self.disk = disk
        parent = disk.parent.makeCursor()
    }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        do {
            var done = 0
            while done < buffer.byteCount {
                let place = offset + UInt64(done)
                let run = try disk.mapping.run(at: place, limit: UInt64(buffer.byteCount - done), &lookup)
                let range = done..<done + Int(run.count)
                try buffer.withSlice(range) { (slice) throws(ImageError) in
                    switch run.kind {
                    case .unallocated: try parent.read(into: &slice, at: place)
                    case .data: try disk.store.read(into: &slice, at: HostOffset(run.host))
                    }
                }
                done = range.upperBound
            }
        } catch {
            throw error.inFile(disk.store.name)
        }
    }
}
