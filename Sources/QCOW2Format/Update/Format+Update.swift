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
}
