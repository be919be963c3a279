internal import ReimageCodecs
internal import ReimageCore

/// The index holds the node of every chunk.
extension ArchiveDisk: DigestedDisk {
    var nodeByteCount: UInt64 { index.geometry.chunkSize }

    var contentDigest: ContentDigest { index.digest }

    func digestNode(at offset: GuestOffset) throws(ImageError) -> Hash256 {
        do throws(ImageError) {
            let geometry = index.geometry
            let entry = try chunk(of: offset.value >> UInt64(geometry.chunkLog2))
            return entry?.hash ?? DigestTree.zeroNodes[geometry.chunkHeight]
        } catch {
            throw error.inFile(store.name)
        }
    }
}
