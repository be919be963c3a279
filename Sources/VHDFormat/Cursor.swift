internal import ReimageCore

/// One thread's reader of a dynamic or differencing disk: it holds the table pages used last, and the parent's reader.
final class VHDCursor: DiskCursor {
    private let disk: VHDDisk
    private var lookup = TableLookup()
    private var parent: (any DiskCursor)?

    init(_ disk: VHDDisk) { self.disk = disk }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        do {
            var done = 0
            while done < buffer.byteCount {
                let place = offset + UInt64(done)
                let run = try disk.mapping.run(at: place, limit: UInt64(buffer.byteCount - done), &lookup)
                let range = done..<done + Int(run.count)
                try buffer.withSlice(range) { (slice) throws(ImageError) in
                    switch run.kind {
                    case .unallocated: try readParent(&slice, at: place)
                    case .data: try disk.store.read(into: &slice, at: HostOffset(run.host))
                    }
                }
                done = range.upperBound
            }
        } catch {
            throw error.inFile(disk.store.name)
        }
    }

    /// Where nothing is stored here: the parent's bytes, and zeros behind its end.
    private func readParent(_ slice: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        var filled = 0
        if let device = disk.parent, offset.value < device.byteCount {
            filled = Int(min(UInt64(slice.byteCount), device.byteCount - offset.value))
            let cursor = try parentCursor(device)
            try slice.withSlice(0..<filled) { (part) throws(ImageError) in try cursor.read(into: &part, at: offset) }
        }
        slice.zero(filled..<slice.byteCount)
    }

    private func parentCursor(_ device: any BlockDevice) throws(ImageError) -> any DiskCursor {
        if let parent { return parent }
        let cursor = try device.makeCursor()
        parent = cursor
        return cursor
    }
}
