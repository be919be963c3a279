/// Who made a disk, and which of its kind it is.
struct DeviceIdentity {
    var vendor: String?
    var model: String?
    var serial: String?
    var worldWideName: String?

    /// What is known of the disk whose folder in `/sys/devices` is `directory`.
    ///
    /// udev knows what takes a command to the disk to find out; without udev, the kernel's own files tell as much as
    /// they hold.
    init(directory: String, bus: Device.Bus, tree: any DeviceTree) {
        let known = Self.udevProperties(directory, tree)
        let device = "\(directory)/device"
        vendor = tree.text("\(device)/vendor")
        // ATA disks say "ATA" for their vendor; virtio and PCI say a number.
        if let name = vendor, name == "ATA" || name.hasPrefix("0x") { vendor = nil }
        model = tree.text("\(device)/model") ?? (bus == .mmc ? tree.text("\(device)/name") : nil)
        let bridge = bus == .usb ? Self.usbSerial(above: directory, tree) : nil
        let candidates = [
            known["ID_SCSI_SERIAL"], known["ID_SERIAL_SHORT"], tree.text("\(directory)/serial"),
            tree.text("\(device)/serial"), bridge, Self.vitalSerial(device, tree),
        ]
        serial = candidates.lazy.compactMap { $0 }.first { !Self.isFiller($0) }
        worldWideName = known["ID_WWN"] ?? tree.text("\(directory)/wwid") ?? tree.text("\(device)/wwid")
    }

    /// Whether a serial number says nothing: one character over and over, as cheap bridges have it.
    private static func isFiller(_ serial: String) -> Bool { Set(serial).count < 2 }

    /// What udev wrote down of the device.
    ///
    /// - Source: the lines `E:NAME=VALUE` of `/run/udev/data/bMAJOR:MINOR`.
    private static func udevProperties(_ directory: String, _ tree: any DeviceTree) -> [String: String] {
        guard let number = tree.text("\(directory)/dev"), let text = tree.text("/run/udev/data/b\(number)") else {
            return [:]
        }
        var properties: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("E:") {
            let parts = line.dropFirst(2).split(separator: "=", maxSplits: 1)
            if parts.count == 2 { properties[String(parts[0])] = String(parts[1]) }
        }
        return properties
    }

    /// The serial number of the USB device that `directory` lies below.
    private static func usbSerial(above directory: String, _ tree: any DeviceTree) -> String? {
        var folder = directory[...]
        while let slash = folder.lastIndex(of: "/"), slash != folder.startIndex {
            folder = folder[..<slash]
            if tree.contents(of: "\(folder)/idVendor") != nil { return tree.text("\(folder)/serial") }
        }
        return nil
    }

    /// The serial number in the vital product data of a SCSI or ATA disk.
    ///
    /// - Source: SPC-4, unit serial number page (80h): four bytes of header, then the text.
    private static func vitalSerial(_ device: String, _ tree: any DeviceTree) -> String? {
        guard let page = tree.contents(of: "\(device)/vpd_pg80"), page.count > 4, page[1] == 0x80 else { return nil }
        let length = Int(page[2]) << 8 | Int(page[3])
        let text = page.dropFirst(4).prefix(length).filter { (0x21...0x7E).contains($0) }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }
}
