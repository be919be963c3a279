import ReimageCodecs
import ReimageCore
import Testing

@Suite struct Hash256Tests {
    // FIPS 180-4 examples.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func knownVectors(text: String, hex: String) throws {
        let bytes = Array(text.utf8)
        let hash = SHA256Hasher.hash(bytes)
        #expect(hash.description == hex)
        #expect(Hash256(hex: hex) == hash)
        #expect(Hash256(hex: hex.uppercased()) == hash)
        guard let first = bytes.first else { return }
        #expect(Array(bytes.dropFirst()).withBytes { SHA256Hasher.hash(prefix: first, $0) } == hash)
    }

    @Test func nodes() {
        let left = SHA256Hasher.hash([1])
        let right = SHA256Hasher.hash([2])
        #expect(SHA256Hasher.hash(prefix: 1, left, right) == SHA256Hasher.hash([1] + left.bytes + right.bytes))
        #expect(SHA256Hasher.hash(prefix: 1, left, right) != SHA256Hasher.hash(prefix: 1, right, left))
    }

    @Test func bytes() throws {
        let bytes = (0..<32).map { UInt8($0 * 7) }
        let hash = try bytes.withBytes { (span) throws(ImageError) in try Hash256(span) }
        #expect(hash.bytes == bytes)
        #expect(hash[31] == 217)
        var target = [UInt8](repeating: 0, count: 40)
        target.withMutableBytes { hash.store(in: &$0, at: 5) }
        #expect(Array(target[5..<37]) == bytes)
        #expect(throws: ImageError.self) { try [UInt8](repeating: 0, count: 31).withBytes { _ = try Hash256($0) } }
    }

    @Test(arguments: ["", "00", String(repeating: "g", count: 64), String(repeating: "0", count: 63) + "é"])
    func noHash(text: String) { #expect(Hash256(hex: text) == nil) }
}
