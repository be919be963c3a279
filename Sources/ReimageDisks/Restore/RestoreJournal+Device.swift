public import ReimageCore
public import ReimageSystem

extension RestoreJournal.Facts {
    /// The names of the facts.
    private enum Name {
        static let path = "device-path"
        static let byteCount = "device-bytes"
        static let sector = "device-sector"
        static let model = "device-model"
        static let serial = "device-serial"
        static let worldWideName = "device-wwn"
        static let backingFile = "device-file"
        static let source = "source-"
        static let options = "options"
    }

    /// What tells `device` from others.
    public init(_ device: Device) {
        self.init()
        self[Name.path] = device.path
        self[Name.byteCount] = String(device.byteCount)
        self[Name.sector] = String(device.logicalSector)
        self[Name.model] = device.fullModel
        self[Name.serial] = device.serial
        self[Name.worldWideName] = device.worldWideName
        self[Name.backingFile] = device.backingFile
    }

    /// The path that the device had.
    public var devicePath: String? { self[Name.path] }

    /// Why `device` is not the one that the journal was made of; `nil` where it is.
    ///
    /// Its size must be the same, and what identifies it too, as far as that was known. Where nothing is known that
    /// identifies it, its path must be the same.
    public func refusal(for device: Device) -> DeviceRefusal? {
        let now = Self(device)
        let size = self[Name.byteCount] ?? "unknown"
        guard size == now[Name.byteCount] else {
            return Self.refusal("it has \(device.byteCount) bytes, and the journal is of a disk of \(size)")
        }
        let marks = [
            (Name.serial, "serial number"), (Name.worldWideName, "world-wide name"), (Name.backingFile, "file"),
            (Name.model, "model"),
        ]
        for (name, what) in marks where self[name] != now[name] {
            return Self.refusal(
                "its \(what) is \(now[name] ?? "unknown"), and the journal is of a disk with \(self[name] ?? "none")")
        }
        let isIdentified = [Name.serial, Name.worldWideName, Name.backingFile].contains { self[$0] != nil }
        guard isIdentified || self[Name.path] == now[Name.path] else {
            return Self.refusal("nothing shows that it is the disk that was \(self[Name.path] ?? "unknown")")
        }
        return nil
    }

    private static func refusal(_ message: String) -> DeviceRefusal {
        DeviceRefusal(
            .notConfirmed, message, advice: "Name the disk that the journal belongs to; 'reimage devices' lists them.")
    }

    /// Adds what tells the image from others: the files that it is read from, with their sizes and times.
    ///
    /// - Parameter options: what else must be the same for a restore to be gone on with.
    public mutating func add(_ source: any BlockDevice, format: FormatName, options: String) {
        self[Name.source + "format"] = format.text
        self[Name.source + "bytes"] = String(source.byteCount)
        for (index, store) in source.stores.enumerated() {
            let time = store.modificationSeconds.map { String($0) } ?? "unknown"
            let identity = store.identity.map { "\($0.device):\($0.inode)" } ?? "unknown"
            self[Name.source + "file-\(index)"] = "\(store.byteCount) bytes, changed \(time), \(identity)"
        }
        self[Name.options] = options
    }

    /// Why the image or what is to be done with it is not what the journal tells of; `nil` where it is.
    ///
    /// - Parameter other: the facts of the image and options now.
    public func refusal(forSource other: Self) -> DeviceRefusal? {
        let names = Set(values.keys).union(other.values.keys).filter { $0.hasPrefix(Name.source) || $0 == Name.options }
        guard let name = names.sorted().first(where: { self[$0] != other[$0] }) else { return nil }
        let what = name == Name.options ? "the options are" : "the image is"
        return DeviceRefusal(
            .notConfirmed,
            "\(what) not what the interrupted restore had (\(other[name] ?? "none"), and then: \(self[name] ?? "none"))",
            advice: "Go on with the same image and options, or start anew without --resume.")
    }
}

extension Device {
    /// What a ``ReimageSystem/DeviceSink`` is to find when it opens the device.
    public var expectation: DeviceExpectation {
        DeviceExpectation(
            number: number, byteCount: byteCount, sequence: sequence, discardsToZeros: kind == .loop)
    }
}
