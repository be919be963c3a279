internal import ReimageCore

/// Writes a new image in one pass: clusters go behind each other in the order of the disk, each L2 table before the
/// clusters it maps; L1 table, refcount table and header come last.
///
/// - Source: qcow2 specification, "Cluster mapping" and "Host cluster management".
final class QCOW2Writer: ImageWriter {
    /// The most bytes of L2 tables that one call of ``skip(_:_:into:)`` makes.
    private static let mostTables: UInt64 = 4 << 20

    let needs: WriterNeeds
    private let settings: WriterSettings
    private let geometry: Geometry
    private let isAppendOnly: Bool
    private var allocator: ClusterAllocator
    private var mapping: MappingBuilder

    /// - Throws: `.invalidArgument` for options that are none or contradict each other, `.unsupported` for a disk that is
    ///   too large for its clusters.
    init(_ plan: WritePlan) throws(ImageError) {
        settings = try WriterSettings(plan)
        geometry = Geometry(clusterBits: settings.clusterBits, hasSubclusters: settings.hasSubclusters)
        isAppendOnly = plan.sink.contains(.appendOnly)
        allocator = try ClusterAllocator(
            RefcountCoding(order: settings.refcountOrder, clusterBits: settings.clusterBits))
        mapping = MappingBuilder(geometry)
        if let byteCount = plan.byteCount { _ = try MappingBuilder.l1Count(byteCount: byteCount, geometry) }
        let size = Int(geometry.clusterSize)
        let makesEntries = settings.zeroStorage != nil || settings.backingName != nil
        needs = WriterNeeds(
            chunkSize: size, grainSize: settings.hasSubclusters ? Int(geometry.subclusterSize) : size,
            padsLastChunk: true, encodedBound: settings.level == nil ? 0 : size - 1,
            longestSkip: makesEntries
                ? max(1, Self.mostTables >> geometry.clusterBits) << geometry.l1CoverageBits : .max,
            lookAhead: settings.level != nil || settings.backingName != nil ? .content : .extents,
            sharing: settings.sharesBlocks ? .sparse : nil, adopts: settings.adopts)
        _ = try makeEncoder()  // refuses a level that is none before anything is written
    }

    var dataFile: String? { settings.dataFile?.path }

    func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? {
        try settings.level.map { (level) throws(ImageError) in
            try ClusterEncoder(settings.compressionType, level: level)
        }
    }

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        guard !range.isEmpty, let storage = storage(of: kind) else { return }
        let first = range.start.value >> geometry.clusterBits
        let end = range.end.value.dividedRoundingUp(by: geometry.clusterSize)
        for cluster in first..<end {
            try mapping.open(cluster: cluster, &allocator, into: &placement)
            switch storage {
            case .flag:
                mapping.set(
                    geometry.hasSubclusters ? 0 : L2Decoder.zeroFlag, bitmap: MappingBuilder.subclusters(32..<64),
                    cluster: cluster)
            case .space(let mode, let isData):
                let place = try allocate(cluster)
                zero(at: place, count: geometry.clusterSize, mode, into: &placement)
                let used = min(geometry.clusterSize, range.end.value - (cluster << geometry.clusterBits))
                mapping.set(
                    place.value | L2Decoder.copiedFlag, bitmap: isData ? subclusters(ofUsed: used) : 0,
                    cluster: cluster)
            }
        }
        allocator.flush(into: &placement)
    }

    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
        let cluster = chunk.range.start.value >> geometry.clusterBits
        switch chunk.encoding {
        case .coded: try placeCoded(chunk, cluster, into: &placement)
        case .plain, .zero:
            if map.hasData(in: chunk.input) {
                try placeData(chunk, map, cluster, into: &placement)
            } else {
                try placeEmpty(chunk, map, cluster, into: &placement)
            }
        }
        allocator.flush(into: &placement)
    }

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        mapping.flush(into: &placement)
        let size = try Self.diskSize(disk.byteCount)
        let l1 = try mapping.l1Bytes(byteCount: size)
        let refcounts = try allocator.finish(
            last: UInt64(l1.count).dividedRoundingUp(by: geometry.clusterSize), into: &placement)
        placement.append(.write(.metadata(l1), at: refcounts.last))
        // The L1 table's last cluster need not be there whole; a file of whole sectors is kindest to other readers.
        let end = refcounts.last.value + UInt64(l1.count)
        placement.append(.setByteCount(end.roundedUp(to: 512) ?? end))
        if settings.dataFile != nil { placement.append(.setByteCount(size, in: .data)) }
        let header = HeaderEncoding(
            settings: settings, byteCount: size, l1: (refcounts.last, l1.count / 8),
            refcounts: (refcounts.table, refcounts.clusters))
        placement.append(.write(.metadata(try header.bytes()), at: .zero))
    }

    /// Every cluster of the disk stored, with all tables.
    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
        let size = try Self.diskSize(byteCount)
        let data = size.dividedRoundingUp(by: geometry.clusterSize)
        let l2 = data.dividedRoundingUp(by: 1 << geometry.l2EntryBits)
        let l1 = UInt64(try MappingBuilder.l1Count(byteCount: size, geometry) * 8)
        let used = 1 + l1.dividedRoundingUp(by: geometry.clusterSize) + l2 + (settings.dataFile == nil ? data : 0)
        let coding = RefcountCoding(order: settings.refcountOrder, clusterBits: settings.clusterBits)
        let clusters = try ClusterAllocator.fileClusters(counting: used, coding)
        // The L1 table comes last, and is not filled up to its cluster's end.
        let unused = (geometry.clusterSize - l1 % geometry.clusterSize) % geometry.clusterSize
        return (clusters << geometry.clusterBits) - unused.roundedDown(to: 512)
    }

    /// The size that the header says: whole sectors, since QEMU shows no other.
    private static func diskSize(_ byteCount: UInt64) throws(ImageError) -> UInt64 {
        guard let size = byteCount.roundedUp(to: 512) else {
            throw ImageError(.unsupported, "a disk of \(byteCount) bytes is too large for qcow2")
        }
        return size
    }
}

// What is stored for bytes that are no data.
extension QCOW2Writer {
    private enum Storage {
        /// The entry alone says that it reads as zeros.
        case flag
        /// A cluster whose bytes are made zeros; `isData` says so in the entry of its subclusters.
        case space(ZeroMode, isData: Bool)
    }

    /// `nil` where nothing at all is stored.
    private func storage(of kind: Extent.Kind) -> Storage? {
        let hasBacking = settings.backingName != nil
        if kind == .hole && hasBacking {
            // Space may be held ready for subclusters that the backing file decides.
            return settings.preallocation == .off ? nil : settings.zeroStorage.map { .space($0, isData: false) }
        }
        if let mode = settings.zeroStorage { return .space(mode, isData: true) }
        guard hasBacking else { return nil }
        // Version 2 has no flag: there, zeros in front of a backing file are data.
        return settings.version == 2 ? .space(.sparse, isData: true) : .flag
    }

    /// The place of a plain cluster.
    private func allocate(_ cluster: UInt64) throws(ImageError) -> HostOffset {
        settings.dataFile == nil ? try allocator.allocate() : HostOffset(cluster << geometry.clusterBits)
    }

    private var dataPart: Placement.Part { settings.dataFile == nil ? .image : .data }

    private func zero(at place: HostOffset, count: UInt64, _ mode: ZeroMode, into placement: inout Placement) {
        placement.append(.zero(HostRange(start: place, count: count), mode, in: dataPart))
    }

    private func placeEmpty(
        _ chunk: Chunk, _ map: borrowing GrainMap, _ cluster: UInt64, into placement: inout Placement
    ) throws(ImageError) {
        var kinds: [(kind: Extent.Kind, range: Range<Int>)] = []
        try map.forEachRun(in: chunk.input) { (kind, run) throws(ImageError) in kinds.append((kind, run)) }
        // Without subclusters a cluster is of one kind.
        let isMixed = kinds.contains { ($0.kind == .hole) != (kinds[0].kind == .hole) }
        guard isMixed, settings.backingName != nil else {
            return try skip(kinds[0].kind, chunk.range, into: &placement)
        }
        if settings.zeroStorage != nil { return try placeData(chunk, map, cluster, into: &placement) }
        var bitmap: UInt64 = 0
        for (kind, run) in kinds where kind != .hole {
            bitmap |= MappingBuilder.subclusters(subclusters(run, chunk)) << 32
        }
        try mapping.open(cluster: cluster, &allocator, into: &placement)
        mapping.set(0, bitmap: bitmap, cluster: cluster)
    }
}

// Data.
extension QCOW2Writer {
    /// The subclusters that `run` of the batch's input covers.
    private func subclusters(_ run: Range<Int>, _ chunk: Chunk) -> Range<Int> {
        let size = Int(geometry.subclusterSize)
        let start = run.lowerBound - chunk.input.lowerBound
        return start / size..<(start + run.count + size - 1) / size
    }

    private func placeData(
        _ chunk: Chunk, _ map: borrowing GrainMap, _ cluster: UInt64, into placement: inout Placement
    ) throws(ImageError) {
        try mapping.open(cluster: cluster, &allocator, into: &placement)
        let place = try allocate(cluster)
        let entry = place.value | L2Decoder.copiedFlag
        guard geometry.hasSubclusters else {
            placement.append(.write(.input(chunk.input), at: place, in: dataPart))
            return mapping.set(entry, cluster: cluster)
        }
        var runs: [(kind: Extent.Kind, range: Range<Int>)] = []
        try map.forEachRun(in: chunk.input) { (kind, run) throws(ImageError) in runs.append((kind, run)) }
        var bitmap: UInt64 = 0
        for (kind, run) in runs {
            let mask = MappingBuilder.subclusters(subclusters(run, chunk))
            let start = place + UInt64(run.lowerBound - chunk.input.lowerBound)
            if kind == .data {
                placement.append(.write(.input(run), at: start, in: dataPart))
                bitmap |= mask
                continue
            }
            switch storage(of: kind) {
            case nil: break
            case .flag: bitmap |= mask << 32
            case .space(let mode, let isData):
                zero(at: start, count: UInt64(run.count), mode, into: &placement)
                if isData { bitmap |= mask }
            }
        }
        let used = subclusters(ofUsed: chunk.range.count) | MappingBuilder.subclusters(32..<64)
        mapping.set(entry, bitmap: bitmap & used, cluster: cluster)
    }

    /// The subclusters that hold the first `count` bytes of a cluster: those behind the disk's end are never stored, as
    /// a data file ends there.
    private func subclusters(ofUsed count: UInt64) -> UInt64 {
        MappingBuilder.subclusters(0..<Int(count.dividedRoundingUp(by: geometry.subclusterSize)))
    }

    private func placeCoded(
        _ chunk: Chunk, _ cluster: UInt64, into placement: inout Placement
    ) throws(ImageError) {
        try mapping.open(cluster: cluster, &allocator, into: &placement)
        let count = chunk.encoded.count
        let place = try allocator.pack(count, returns: !isAppendOnly)
        let end = place + UInt64(count)
        let shift = geometry.compressedSizeShift
        guard end.value < min(Header.offsetLimit, 1 << shift) else {
            throw ImageError(
                .unsupported, "the compressed image passes \(humanSize(1 << shift)), which its entries cannot address")
        }
        let sectors = (end.value - 1) / 512 - place.value / 512
        mapping.set(L2Decoder.compressedFlag | (sectors << shift) | place.value, cluster: cluster)
        placement.append(.write(.encoded(chunk.encoded), at: place))
    }
}
