public import ReimageCore
public import ReimageSystem

extension DeviceInventory {
    /// The device whose node `path` is, links followed.
    /// - Throws: `.unreadable` where there is nothing, `.refused` where it is something else or a device that `/sys`
    ///   does not know.
    public func device(at path: String) throws(ImageError) -> Device {
        guard let node = tree.node(at: path) else {
            throw ImageError(
                .unreadable, "there is no such device", file: path,
                advice: "List the machine's disks with 'reimage devices'.")
        }
        guard let number = node.device else {
            throw ImageError(
                .refused, "is no block device", file: path, advice: "List the machine's disks with 'reimage devices'.")
        }
        guard let device = devices.first(where: { $0.number == number }) else {
            throw ImageError(
                .refused, "is a block device that /sys does not know (number \(number))", file: path,
                advice: "The node may be stale, or the device has gone: look at the kernel's log.")
        }
        return device
    }

    /// The numbers of every device below the file, folder or device at `path`, down to the disks.
    ///
    /// A file that does not exist yet lies where its folder does. Nothing for a pipe and for file systems without a
    /// device.
    public func foundations(of path: String) -> Set<DeviceNumber> {
        var place = path
        while tree.node(at: place) == nil {
            guard let slash = place.lastIndex(of: "/") else {
                place = "."
                break
            }
            let folder = place[..<slash]
            if folder.isEmpty {
                place = "/"
                break
            }
            place = String(folder)
        }
        let byName = usage.devicesHolding(place).flatMap { usage.stack.foundations(of: $0) }
        return Set(byName.compactMap { self[$0]?.number })
    }
}
