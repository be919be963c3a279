/// What a partition table says that a partition is for. A hint only: what it holds is found by reading it.
public enum PartitionType: Sendable, Hashable, CustomStringConvertible {
    case gpt(GUID)
    case mbr(UInt8)

    /// The id as tables and tools have it: a GUID, or two hexadecimal digits.
    public var id: String {
        switch self {
        case .gpt(let guid): guid.description
        case .mbr(let code): hex([code])
        }
    }

    /// The name where it is known, else the id.
    public var description: String {
        switch self {
        case .gpt: Self.names[id] ?? id
        case .mbr(let code): Self.codes[code] ?? "type \(id)"
        }
    }

    /// Whether the firmware starts from it.
    var isSystemPartition: Bool {
        switch self {
        case .gpt: id == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
        case .mbr(let code): code == 0xEF
        }
    }

    /// - Source: UEFI specification, table 5.7; the Discoverable Partitions Specification; Microsoft's and Apple's own.
    private static let names = [
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "EFI system",
        "21686148-6449-6E6F-744E-656564454649": "BIOS boot",
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4": "Linux file system",
        "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "Linux root (x86-64)",
        "B921B045-1DF0-41C3-AF44-4C6F280D3FAE": "Linux root (ARM64)",
        "BC13C2FF-59E6-4262-A352-B275FD6F7172": "Linux boot",
        "933AC7E1-2EB4-4F13-B844-0E14E2AEF915": "Linux home",
        "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": "Linux swap",
        "E6D6D379-F507-44C2-A23C-238F2A3DF928": "Linux LVM",
        "A19D880F-05FC-4D3B-A006-743F0F84911E": "Linux RAID",
        "CA7D7CCB-63ED-4C53-861C-1742536059CC": "Linux LUKS",
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": "Microsoft basic data",
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE": "Microsoft reserved",
        "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC": "Windows recovery",
        "7C3457EF-0000-11AA-AA11-00306543ECAC": "Apple APFS",
        "48465300-0000-11AA-AA11-00306543ECAC": "Apple HFS+",
        "516E7CB4-6ECF-11D6-8FF8-00022D09712B": "FreeBSD",
    ]

    private static let codes: [UInt8: String] = [
        0x01: "FAT12", 0x04: "FAT16", 0x05: "extended", 0x06: "FAT16", 0x07: "NTFS or exFAT", 0x0B: "FAT32",
        0x0C: "FAT32", 0x0E: "FAT16", 0x0F: "extended", 0x27: "Windows recovery", 0x82: "Linux swap", 0x83: "Linux",
        0x85: "extended", 0x8E: "Linux LVM", 0xA5: "FreeBSD", 0xAF: "Apple HFS+", 0xEE: "GPT protective",
        0xEF: "EFI system", 0xFD: "Linux RAID",
    ]
}
