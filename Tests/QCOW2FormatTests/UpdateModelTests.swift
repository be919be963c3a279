import QCOW2Format
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// Changes by chance, held against a plain array and against qemu.
@Suite(.enabled(if: QEMU.isInstalled)) struct UpdateModelTests {
    private let folder = Scratch()

    @Test(arguments: UpdateSample.all + [.fullTable]) func changesAreAsIfMadeToPlainBytes(_ sample: UpdateSample) throws
    {
        let made = try sample.make(in: folder)
        for seed in 1...2 {
            var random = SeededGenerator(seed: UInt64(seed))
            let store = MemoryStore(made.image, name: "changed.qcow2")
            let data = sample.hasDataFile ? MemoryStore(made.data) : nil
            let resolver = sample.resolver(made, data, in: folder)
            let disk = try QCOW2Format().openForWriting(
                UpdateTarget(store: store), OpenContext(references: resolver))
            let cursor = try disk.makeCursor()
            var model = made.disk
            for number in 0..<50 {
                let change = GuestChange.random(
                    count: sample.byteCount, cluster: sample.clusterSize, largest: sample.largest, &random)
                try change.apply(to: disk)
                change.apply(to: &model, grain: sample.grain)
                if number % 10 == 0 {
                    let bytes = try read(cursor, 0..<disk.byteCount)
                    #expect(isSame(bytes, model), "\(seed): \(number) \(change)")
                }
            }
            try disk.flush()
            #expect(isSame(try read(disk), model))
            let fresh = try QCOW2Format().open(
                ImageSource(store: MemoryStore(store.bytes)), OpenContext(references: resolver))
            #expect(isSame(try read(try device(fresh)), model))
            folder.write(store.bytes, to: "changed.qcow2")
            if let data {
                folder.write(data.bytes, to: "data")
                // qemu makes it of whole clusters.
                if sample.options.contains("raw") { #expect(isSame(Array(data.bytes.prefix(model.count)), model)) }
            }
            try QEMU.run("qemu-img", ["check", folder.file("changed.qcow2")])
            try QEMU.run(
                "qemu-img", ["convert", "-O", "raw", folder.file("changed.qcow2"), folder.file("changed.raw")])
            #expect(isSame(folder.read("changed.raw") ?? [], model), "\(seed)")
        }
    }
}
