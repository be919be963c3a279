public import ReimageCore
public import ReimagePipeline

/// How large an image will be, found out by laying it out without writing it.
public struct Measurement: Sendable, Hashable {
    /// The length of the image in bytes.
    public let requiredByteCount: UInt64
    /// How much of it takes space on a file system with holes.
    public let storedByteCount: UInt64
    /// The length of the image once every byte of the disk is stored.
    public let fullyAllocatedByteCount: UInt64

    /// Lays out `content`.
    ///
    /// - Parameters:
    ///   - readsData: finds zeros within the data, so that the measure is exact; without, what the source's extents call
    ///     data counts, and the measure is the most that can be needed.
    ///   - isOverBacking: the image has another below it, which is not looked at: whatever the source has, and every zero
    ///     that may have to hide something, counts; the measure is the most that can be needed.
    ///   - makeWriter: makes the writer; what it would compress is measured as it is, which is never less.
    public init(
        _ content: DiskContent, sparseGrain: Int = 4096, readsData: Bool, isOverBacking: Bool = false,
        options: JobOptions = JobOptions(),
        makeWriter: (WritePlan) throws(ImageError) -> any ImageWriter
    ) throws(ImageError) {
        guard case .random(let disk) = content else {
            throw ImageError(.unsupported, "what comes from a pipe cannot be measured before it is there")
        }
        let sink = LayoutSink()
        let plan = WritePlan(byteCount: disk.byteCount, sink: sink.traits, sparseGrain: sparseGrain)
        let writer = try makeWriter(plan)
        let measured = isOverBacking ? .random(HolesAsZeros(disk: disk)) : content
        var job = CopyJob(measured, writer: writer, sink: sink, phase: .plan, options: options)
        let data = LayoutSink()
        job.dataSink = data
        job.reading = readsData ? .content : .nothing
        _ = try job.run()
        requiredByteCount = sink.byteCount
        storedByteCount = sink.writtenByteCount + data.writtenByteCount
        fullyAllocatedByteCount = try writer.mostBytes(forDisk: disk.byteCount)
    }
}

/// A disk whose holes are zeros that must be stored as such.
private struct HolesAsZeros: BlockDevice {
    let disk: any BlockDevice

    var byteCount: UInt64 { disk.byteCount }
    var sectorSize: Int { disk.sectorSize }
    var stores: [any ByteStore] { disk.stores }
    var readUnit: Int { disk.readUnit }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        var extent = try disk.extent(at: offset, limit: limit, layers: layers, detail: detail)
        if extent.kind == .hole { extent.kind = .zero }
        return extent
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { try disk.makeCursor() }
}
