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
    ///   - makeWriter: makes the writer; what it would compress is measured as it is, which is never less.
    public init(
        _ content: DiskContent, sparseGrain: Int = 4096, readsData: Bool, options: JobOptions = JobOptions(),
        makeWriter: (WritePlan) throws(ImageError) -> any ImageWriter
    ) throws(ImageError) {
        guard case .random(let disk) = content else {
            throw ImageError(.unsupported, "what comes from a pipe cannot be measured before it is there")
        }
        let sink = LayoutSink()
        let plan = WritePlan(byteCount: disk.byteCount, sink: sink.traits, sparseGrain: sparseGrain)
        let writer = try makeWriter(plan)
        var job = CopyJob(content, writer: writer, sink: sink, phase: .plan, options: options)
        let data = LayoutSink()
        job.dataSink = data
        job.reading = readsData ? .content : .nothing
        _ = try job.run()
        requiredByteCount = sink.byteCount
        storedByteCount = sink.writtenByteCount + data.writtenByteCount
        fullyAllocatedByteCount = try writer.mostBytes(forDisk: disk.byteCount)
    }
}
