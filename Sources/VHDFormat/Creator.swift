/// The program that made an image, by its four bytes.
struct Creator: Hashable {
    let code: UInt32

    static let virtualPC = Creator(code: 0x7670_6320)  // "vpc "
    static let qemu = Creator(code: 0x7165_6D75)  // "qemu"
    static let windows = Creator(code: 0x7769_6E20)  // "win "

    /// Whether programs take the geometry for the size of this creator's disks: Virtual PC showed its guests no more,
    /// and QEMU rounds its disks so that both are equal.
    var countsByGeometry: Bool { self == .virtualPC || self == .qemu }

    /// The bytes as text, for instance `win `; a byte that is no printable ASCII is shown as `\xx`.
    var text: String {
        (0..<4).map { index in
            let byte = UInt8(truncatingIfNeeded: code >> UInt32(24 - 8 * index))
            guard !(0x20..<0x7F).contains(byte) else { return String(UnicodeScalar(byte)) }
            return "\\" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }
}
