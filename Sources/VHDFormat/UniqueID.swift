/// An image's id in the form of a UUID, its bytes in the order of the file.
func uniqueIDText(_ id: [UInt8]) -> String {
    var text = ""
    for (index, byte) in id.enumerated() {
        if [4, 6, 8, 10].contains(index) { text += "-" }
        text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return text
}
