/// Text-like bytes that compress, and never repeat in step with a block size.
func sampleBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 64)
    while bytes.count < count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let back = Int(state >> 40) % 700 + 1
        if state >> 62 == 0, bytes.count > back {
            let length = Int(state >> 20) % 60 + 4
            for _ in 0..<length { bytes.append(bytes[bytes.count - back]) }
        } else {
            bytes.append(UInt8(truncatingIfNeeded: state >> 33))
        }
    }
    return Array(bytes.prefix(count))
}
