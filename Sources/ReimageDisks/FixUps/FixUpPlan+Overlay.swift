internal import ReimageCore

extension FixUpPlan {
    /// The wipes and patches as a restore lays them over the image.
    public var overlay: DiskOverlay {
        DiskOverlay(
            wipes.map { .init(zeros: HostRange(start: HostOffset($0.start.value), count: $0.count)) }
                + patches.map { .init($0.bytes, at: HostOffset($0.start.value)) })
    }
}
