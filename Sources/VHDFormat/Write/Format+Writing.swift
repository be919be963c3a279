public import ReimageCore

extension VHDFormat {
    public var writerOptions: [WriterOption]? { WriterSettings.options }

    public func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter {
        let settings = try WriterSettings(plan)
        return settings.kind == .fixed ? try FixedWriter(settings, plan) : try DynamicWriter(settings, plan)
    }
}
