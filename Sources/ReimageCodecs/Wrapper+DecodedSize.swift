public import ReimageCore

extension Wrapper {
    /// How many bytes `store` decodes to, where the container tells that cheaply and for certain; `nil` elsewhere.
    ///
    /// From an xz file's index, and from the header of a zstd file that is one frame and nothing else. A decoder proves
    /// both numbers when it comes to the end. gzip keeps the length of each member, modulo 4 GiB: no answer. A damaged
    /// file has no answer either; decoding it will say why.
    /// - Parameter memoryLimit: the most memory an index may take, in bytes.
    /// - Throws: `.unreadable` on an I/O error.
    public func decodedByteCount(of store: any ByteStore, memoryLimit: UInt64) throws(ImageError) -> UInt64? {
        switch self {
        case .gzip: nil
        case .xz: try XZIndex.decodedByteCount(of: store, memoryLimit: memoryLimit)
        case .zstd: try ZstdFrameWalk.decodedByteCount(of: store)
        }
    }
}
