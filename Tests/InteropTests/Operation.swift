import ReimageTesting
/// One `qemu-io` command.
enum Operation: Sendable {
    case write(at: Int, count: Int, payload: Payload)
    case compressed(at: Int, count: Int, payload: Payload)
    case zero(at: Int, count: Int, unmap: Bool)
    case discard(at: Int, count: Int)

    enum Payload: Sendable { case byte(Int), file(String) }

    /// As `qemu-io -c` takes it.
    var command: String {
        switch self {
        case .write(let offset, let count, let payload): "write -q \(payload.option) \(offset) \(count)"
        case .compressed(let offset, let count, let payload): "write -q -c \(payload.option) \(offset) \(count)"
        case .zero(let offset, let count, let unmap): "write -q -z \(unmap ? "-u " : "")\(offset) \(count)"
        case .discard(let offset, let count): "discard -q \(offset) \(count)"
        }
    }

    /// What happens to a layer: compressed clusters first, since qemu writes those to untouched clusters only.
    static func random(
        for layer: Layer, payloads: [String], writesOnly: Bool, _ random: inout SeededGenerator
    ) -> [Operation] {
        let cluster = layer.clusterSize
        var operations: [Operation] = []
        if layer.compression != .none, layer.maker == .io {
            let most = max(1, min(8, (512 << 10) / cluster))
            let gap = max(1, layer.size / cluster / 8)
            var start = random.below(2) * cluster
            while start < layer.size {
                let end = min(layer.size, start + cluster * (1 + random.below(most)))
                operations.append(.compressed(at: start, count: end - start, payload: .random(payloads, &random)))
                start = (end + cluster - 1) / cluster * cluster + random.below(gap) * cluster
            }
        }
        for _ in 0..<(6 + random.below(16)) {
            let (offset, count) = range(in: layer, &random)
            switch writesOnly ? 0 : random.below(8) {
            case 5: operations.append(.zero(at: offset, count: count, unmap: false))
            case 6: operations.append(.zero(at: offset, count: count, unmap: true))
            case 7: operations.append(.discard(at: offset, count: count))
            default: operations.append(.write(at: offset, count: count, payload: .random(payloads, &random)))
            }
        }
        return operations
    }

    /// Sectors, clusters, subclusters, or any bytes.
    private static func range(in layer: Layer, _ random: inout SeededGenerator) -> (offset: Int, count: Int) {
        let unit = [512, 4096, layer.clusterSize, max(512, layer.clusterSize / 32), 1][random.below(5)]
        let largest = layer.clusterSize < 4096 ? 64 << 10 : 768 << 10
        let offset = random.below(max(1, layer.size / unit)) * unit
        let count = min(layer.size - offset, unit * (1 + random.below(max(1, largest / unit))))
        // Now and then at the very end, so that the last, partial cluster is met.
        return random.chance(6) ? (layer.size - count, count) : (offset, count)
    }
}

extension Operation.Payload {
    fileprivate var option: String {
        switch self {
        case .byte(let value): "-P \(value)"
        case .file(let path): "-s \(path)"
        }
    }

    /// A zero byte now and then: data in the tables that reads as zero.
    fileprivate static func random(_ files: [String], _ random: inout SeededGenerator) -> Self {
        random.chance(3) ? .byte(random.chance(3) ? 0 : 1 + random.below(255)) : .file(files[random.below(files.count)])
    }
}
