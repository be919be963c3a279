public import ReimageCore

extension QCOW2Format {
    /// Opens an image's disk to be written in place.
    ///
    /// Unknown autoclear bits, and the mark that bitmaps are right, are taken away by the first change.
    /// - Throws: `.refused` with the advice to repair where the image is marked dirty or corrupt, or keeps no refcounts;
    ///   `.damaged` where its tables contradict each other; `.unsupported` for an encrypted disk.
    public func openForWriting(
        _ target: UpdateTarget, _ context: OpenContext
    ) throws(ImageError) -> any WritableDisk {
        do {
            return try QCOW2Updater(ImageUpdate(target, context))
        } catch {
            throw error.inFile(target.store.name)
        }
    }

    /// Changes the length of an image's disk in place; what is new reads as zeros.
    ///
    /// A length that is no multiple of 512 is rounded up. A disk that is cut gives its space back, and the file's end
    /// with it.
    /// - Throws: what ``openForWriting(_:_:)`` throws; `.refused` for a shorter disk without leave; `.unsupported` for a
    ///   length past what the cluster size allows (the error tells the longest), for images with bitmaps, and for those
    ///   of version 2 with snapshots; `.invalidArgument` for an unknown preallocation, or one of a disk that does not
    ///   grow.
    public func resize(
        _ target: UpdateTarget, _ request: ResizeRequest, _ context: OpenContext
    ) throws(ImageError) {
        do {
            var update = try ImageUpdate(target, context)
            try update.resize(request)
        } catch {
            throw error.inFile(target.store.name)
        }
    }
}
