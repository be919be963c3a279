internal import ReimageCodecs
internal import ReimageCore

/// The index holds the node of every chunk and of every leaf range.
extension ArchiveDisk: DigestedDisk {
    var nodeByteCount: UInt64 { index.geometry.chunkSize }
    var coarseNodeByteCount: UInt64 { index.geometry.chunkSize << UInt64(index.geometry.leafLog2) }
    var contentDigest: ContentDigest { index.digest }
    var isWhole: Bool { index.footer.flags.contains(.complete) }

    func digestNode(at offset: GuestOffset) throws(ImageError) -> Hash256 {
        do throws(ImageError) {
            let geometry = index.geometry
            let entry = try chunk(of: offset.value >> UInt64(geometry.chunkLog2))
            return entry?.hash ?? DigestTree.zeroNodes[geometry.chunkHeight]
        } catch {
            throw error.inFile(store.name)
        }
    }

    func digestNode(height: Int, index number: UInt64) throws(ImageError) -> Hash256 {
        let geometry = index.geometry
        let whole = DigestTree.height(ofDisk: geometry.byteCount)
        if height > whole {
            guard number == 0 else { return DigestTree.zeroNodes[height] }
            return DigestTree.node(try digestNode(height: whole, index: 0), of: whole, raisedTo: height)
        }
        do {
            return height >= geometry.leafHeight
                ? try nodeOfRanges(height, number) : try nodeOfSlots(height, number)
        } catch {
            throw error.inFile(store.name)
        }
    }

    /// A node over leaf ranges, from the ROOT record alone.
    private func nodeOfRanges(_ height: Int, _ number: UInt64) throws(ImageError) -> Hash256 {
        let geometry = index.geometry
        let count: UInt64 = 1 << UInt64(height - geometry.leafHeight)
        let end = min((number + 1) * count, geometry.leafRanges)
        var range = number * count
        var tree = DigestTree()
        while range < end {
            let entry = try index.root.entry(try index.root.index(of: range))
            let next = min(entry.first + entry.count, end)
            if entry.kind == .data {
                tree.append(entry.node, height: geometry.leafHeight)
            } else {
                tree.appendZeros((next - range) << UInt64(geometry.leafHeight))
            }
            range = next
        }
        return tree.root(height: height)
    }

    /// A node over slots of one leaf range, from its LEAF record.
    private func nodeOfSlots(_ height: Int, _ number: UInt64) throws(ImageError) -> Hash256 {
        let geometry = index.geometry
        let count: UInt64 = 1 << UInt64(height - geometry.chunkHeight)
        let end = min((number + 1) * count, geometry.slots)
        var tree = DigestTree()
        var slot = number * count
        while slot < end {
            tree.append(
                try chunk(of: slot)?.hash ?? DigestTree.zeroNodes[geometry.chunkHeight], height: geometry.chunkHeight)
            slot += 1
        }
        return tree.root(height: height)
    }
}
