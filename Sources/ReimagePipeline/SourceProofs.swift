internal import ReimageCodecs
public import ReimageCore

/// Proves that a disk still holds what it held: reads it on all cores, and compares node by node.
public struct ProofJob {
    private let disk: any BlockDevice
    private let options: JobOptions

    public init(_ disk: any BlockDevice, options: JobOptions = JobOptions()) {
        self.disk = disk
        self.options = options
    }

    /// Reads everything before `end`, which `proofs` tell of without a gap.
    ///
    /// - Returns: the digest's tree over what was read, for who goes on from there.
    /// - Throws: `.mismatch` with the first range that is not what it was; what reading throws.
    public func prove(_ proofs: [SourceProof], before end: GuestOffset) throws(ImageError) -> ProvenPrefix {
        let writer = ProofWriter(proofs)
        let prefix = DiskPrefix(disk, byteCount: min(end.value, disk.byteCount))
        let job = CopyJob(.random(prefix), writer: writer, sink: NullSink(), phase: .prove, options: options)
        _ = try job.run()
        return ProvenPrefix(byteCount: prefix.byteCount, tree: writer.whole)
    }

    /// The first of `samples` that is not what it was; `nil` where all are. On this thread.
    public func firstChange(in samples: [SourceProof]) throws(ImageError) -> GuestOffset? {
        let cursor = try disk.makeCursor()
        options.progress.begin(.prove, total: samples.reduce(0) { $0 + $1.range.count })
        for sample in samples {
            try options.cancellation.check()
            var buffer = AlignedBuffer(byteCount: Int(sample.range.count))
            try buffer.withMutableBytes { (span) throws(ImageError) in
                try cursor.read(into: &span, at: sample.range.start)
            }
            let isSame = buffer.withBytes { bytes in
                guard let node = sample.node else { return bytes.isZero }
                var tree = DigestTree()
                tree.append(leavesOf: bytes)
                return tree.root(height: sample.height).bytes == node
            }
            guard isSame else { return sample.range.start }
            options.progress.add(sample.range.count)
        }
        return nil
    }
}

/// The start of a disk that was proved, with its part of the content digest.
public struct ProvenPrefix: Sendable {
    let byteCount: UInt64
    let tree: DigestTree
}

/// Writes nothing: compares a disk, chunk by chunk, with what is known of it.
private final class ProofWriter: ImageWriter {
    let needs: WriterNeeds
    private let proofs: [SourceProof]
    private let chunkHeight: Int
    private var next = 0
    private var tree = DigestTree()
    /// The tree of everything so far.
    private(set) var whole = DigestTree()

    init(_ proofs: [SourceProof]) {
        self.proofs = proofs
        chunkHeight = min(4, proofs.map(\.height).min() ?? 4)
        needs = WriterNeeds(
            chunkSize: DigestTree.leafSize << chunkHeight, grainSize: DigestTree.leafSize << chunkHeight,
            encodedBound: 1)
    }

    func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? { ProofEncoder(height: chunkHeight) }

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        var position = range.start
        while position < range.end {
            guard next < proofs.count else { return }
            let proof = proofs[next]
            let end = min(range.end, proof.range.end)
            let leaves = (end - position).dividedRoundingUp(by: UInt64(DigestTree.leafSize))
            whole.appendZeros(leaves)
            if proof.node != nil { tree.appendZeros(leaves) }
            position = end
            try close(at: end)
        }
    }

    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
        guard chunk.encoding != .zero else { return try skip(.zero, chunk.range, into: &placement) }
        guard next < proofs.count else { return }
        guard proofs[next].node != nil else { throw Self.changed(proofs[next]) }
        let node = try chunk.facts.withBytes { (bytes) throws(ImageError) in try Hash256(bytes) }
        tree.append(node, height: chunkHeight)
        whole.append(node, height: chunkHeight)
        try close(at: chunk.range.end)
    }

    /// Compares the range that ends at `end`, if one does.
    private func close(at end: GuestOffset) throws(ImageError) {
        let proof = proofs[next]
        guard proof.range.end == end else { return }
        if let node = proof.node, tree.root(height: proof.height).bytes != node { throw Self.changed(proof) }
        tree = DigestTree()
        next += 1
    }

    private static func changed(_ proof: SourceProof) -> ImageError {
        ImageError(
            .mismatch,
            "the source is not what it was when the archive was begun: \(humanSize(proof.range.count)) differ",
            at: .guest(proof.range.start),
            advice: "Leave --resume away to start anew; or pass --resume=trust if the change does not matter.")
    }

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {}

    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 { 0 }
}

/// Hashes chunks.
private final class ProofEncoder: ChunkEncoder {
    private let height: Int
    private(set) var facts: [UInt8] = []

    init(height: Int) { self.height = height }

    func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding {
        guard !chunk.isZero else { return .zero }
        var tree = DigestTree()
        tree.append(leavesOf: chunk)
        facts = tree.root(height: height).bytes
        return .plain
    }
}
