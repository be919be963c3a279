import Reimage
import ReimageCore
import ReimageTesting

/// A qcow2 image whose every other cluster is stored.
enum MapImage {
    /// Version 2, clusters of 64 KiB; qcow2 specification, "Header" and "Cluster mapping".
    static func disk(clusters: Int) throws -> any BlockDevice {
        let size = 65536
        let tables = (clusters + 8191) / 8192
        var image = [UInt8](repeating: 0, count: (2 + tables + clusters) * size)
        func store(_ value: UInt64, _ count: Int, at place: Int) {
            for byte in 0..<count {
                image[place + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - byte)))
            }
        }
        store(0x5146_49FB, 4, at: 0)
        store(2, 4, at: 4)
        store(16, 4, at: 20)
        store(UInt64(clusters * size), 8, at: 24)
        store(UInt64(tables), 4, at: 36)
        store(UInt64(size), 8, at: 40)
        for table in 0..<tables { store(UInt64((2 + table) * size) | 1 << 63, 8, at: size + table * 8) }
        for cluster in stride(from: 0, to: clusters, by: 2) {
            store(UInt64((2 + tables + cluster) * size) | 1 << 63, 8, at: 2 * size + cluster * 8)
        }
        let format = try FormatRegistry.standard.format(named: "qcow2")
        guard case .random(let disk) = try format.open(ImageSource(store: MemoryStore(image)), OpenContext()).content()
        else { throw ImageError(.unsupported, "a qcow2 image can be read at any offset") }
        return disk
    }
}
