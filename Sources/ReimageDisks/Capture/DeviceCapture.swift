public import ReimageCore
internal import ReimageSystem

/// A device that is being captured: chosen by the rules, held, and read past every cache.
public struct DeviceCapture: Sendable {
    public let device: Device
    /// What is copied into the image.
    public let disk: CaptureDisk
    /// What the user should know.
    public let notes: [Note]
    private let hold: DeviceHold?

    /// Opens the device at `path` for capturing; it is read only, and never written.
    ///
    /// - Parameters:
    ///   - live: reads it although something uses it.
    ///   - files: what is written on the way, none of which may lie on the device.
    /// - Throws: `.refused` by a rule, `.unreadable` where it cannot be opened.
    public init(
        _ path: String, live: Bool, files: [(DeviceRequest.File.Role, String)], options: CaptureOptions,
        cancellation: Cancellation, inventory: DeviceInventory
    ) throws(ImageError) {
        if let refusal = DeviceRules.refusal(forPath: path, kind: inventory.tree.node(at: path)?.kind) {
            throw ImageError([refusal], path: path)
        }
        let device = try inventory.device(at: path)
        var hold: DeviceHold?
        var failure: ImageError?
        if !live {
            // Held from here on, so that nobody mounts it while it is read.
            do { hold = try DeviceHold(device.path) } catch { failure = error }
        }
        let claim: DeviceClaim = failure?.code == .refused ? .busy : .free
        let request = DeviceRequest(
            .capture(live: live), files: files.map { inventory.file($0.0, at: $0.1) }, claim: claim)
        let refusals = DeviceRules.refusals(for: device, request)
        guard refusals.isEmpty else { throw ImageError(refusals, path: device.path) }
        if let failure { throw failure }
        for node in [device] + inventory.partitions(of: device) { try DeviceHold.writeBack(node.path) }
        let store = try BlockDeviceStore(path: device.path, cache: .direct)
        guard store.byteCount == device.byteCount else {
            throw ImageError(
                .refused, "is no longer the device, or no longer holds the medium, that was chosen", file: device.path,
                advice: "Look again with 'reimage devices', and start over.")
        }
        self.device = device
        self.hold = hold
        // A partition may start in the midst of a physical sector.
        let isAligned = (device.place?.start ?? 0).isMultiple(of: UInt64(max(device.physicalSector, 1)))
        disk = CaptureDisk(
            store, sectorSize: store.sectorSize, physicalSectorSize: isAligned ? device.physicalSector : nil,
            options: options, cancellation: cancellation)
        var notes: [Note] = []
        if live && !device.uses.isEmpty {
            notes.append(
                Note(
                    "\(device.path) is in use: the image will be as after a crash, and file systems that change meanwhile "
                        + "may be damaged in it. Unmount it, or take a snapshot, for an image that is whole."))
        }
        self.notes = notes
    }

    /// What images keep of the device.
    public var origin: DiskOrigin {
        DiskOrigin(
            path: device.path, byteCount: device.byteCount, model: device.fullModel, serial: device.serial)
    }
}
