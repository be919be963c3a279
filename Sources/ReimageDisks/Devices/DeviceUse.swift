/// One thing that uses a device, directly or through what is built on it.
public struct DeviceUse: Sendable, Hashable {
    /// How it is used.
    public enum Kind: Sendable, Hashable {
        /// A file system on it is mounted at these places.
        case mounted(at: [String], fileSystem: String)
        /// A file system on it is open, though no mount that this process sees shows where.
        case open(fileSystem: String)
        /// It is a swap area, or holds a swap file.
        case swap
        /// Another block device is built on it.
        case held(by: Holder)
    }

    /// A block device that is built on others.
    public struct Holder: Sendable, Hashable {
        /// The kernel's name.
        public var name: String
        /// What it is: `LVM`, `LUKS`, `raid1`, `loop`.
        public var what: String
        /// What it is called, where it has a name of its own: `vg-root`.
        public var label: String?

        public init(name: String, what: String, label: String? = nil) {
            self.name = name
            self.what = what
            self.label = label
        }
    }

    public var kind: Kind
    /// The devices from the one asked about up to the one that is used, by name; one alone where it is the same.
    public var chain: [String]

    public init(_ kind: Kind, chain: [String]) {
        self.kind = kind
        self.chain = chain
    }

    /// The mount points without which the running system does not go on.
    private static let systemMountPoints: Set = [
        "/", "/boot", "/boot/efi", "/boot/firmware", "/efi", "/etc", "/nix", "/usr", "/usr/lib", "/var",
    ]

    /// Whether it is the running system itself.
    public var isOfSystem: Bool {
        guard case .mounted(let places, _) = kind else { return false }
        return places.contains(where: Self.systemMountPoints.contains)
    }
}

extension DeviceUse: CustomStringConvertible {
    /// One line for people: `mounted at / (ext4, through nvme0n1p3, dm-0)`.
    public var description: String {
        let way = chain.dropFirst()
        let through = way.isEmpty ? "" : "through \(way.joined(separator: ", "))"
        switch kind {
        case .mounted(let places, let fileSystem):
            let details = [fileSystem, through].filter { !$0.isEmpty }.joined(separator: ", ")
            return "mounted at \(places.joined(separator: ", ")) (\(details))"
        case .open(let fileSystem):
            return "an open \(fileSystem) file system" + (through.isEmpty ? "" : " (\(through))")
        case .swap:
            return "swap" + (through.isEmpty ? "" : " (\(through))")
        case .held(let holder):
            let label = holder.label.map { " \($0)" } ?? ""
            let before = way.dropLast()
            let through = before.isEmpty ? "" : ", through \(before.joined(separator: ", "))"
            return "held by \(holder.what)\(label) (\(holder.name)\(through))"
        }
    }
}
