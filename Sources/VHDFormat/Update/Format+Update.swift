public import ReimageCore

extension VHDFormat {
    /// Changes the length of an image's disk in place; what is new reads as zeros.
    ///
    /// A length that is no multiple of 512 is rounded up. The size in bytes counts afterwards for every program: the
    /// geometry is made to say the same, or nothing. What a fixed disk gains is reserved; a dynamic one stores nothing
    /// for it, but blocks may move to make room for a longer table. The size that the disk was made with stays.
    /// - Throws: `.refused` where the image is damaged, its machine is suspended, or the disk would be cut without
    ///   leave; `.unsupported` for a length that no VHD has, and for a differencing disk whose parent is longer;
    ///   `.invalidArgument` for an unknown preallocation, or one of a disk that does not grow or is dynamic.
    public func resize(
        _ target: UpdateTarget, _ request: ResizeRequest, _ context: OpenContext
    ) throws(ImageError) {
        do {
            try ImageResize(target, context).run(request)
        } catch {
            throw error.inFile(target.store.name)
        }
    }
}
