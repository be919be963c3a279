import Foundation
import ReimageCore
import ReimageDisks
import ReimageSystem
import TestSupport
import Testing

/// The inventory of this machine, its loop devices above all, held against `lsblk` and what the kernel does.
@Suite(.serialized) struct RealDeviceTests {
    private func device(_ path: String) throws -> (Device, DeviceInventory) {
        let inventory = try DeviceInventory()
        return (try inventory.device(at: path), inventory)
    }

    private func reasons(_ path: String) throws -> [DeviceRefusal.Reason] {
        let request = DeviceRequest(.restore, isWholeDisk: false, claim: HostTree.claim(path))
        return DeviceRules.refusals(for: try device(path).0, request).map(\.reason)
    }

    /// The fields that `lsblk` knows too, by its names for them.
    private func lsblk(_ arguments: [String]) throws -> [[String: Any]]? {
        guard let program = Program(named: "lsblk") else { return nil }
        let columns = "NAME,SIZE,RO,RM,ROTA,LOG-SEC,PHY-SEC,DISC-GRAN,DISC-MAX,DISC-ZERO,MAJ:MIN,MODEL,TYPE"
        let result = try program.run(["--json", "-b", "-o", columns] + arguments)
        guard result.status == 0 else {
            print("skipped: lsblk: \(result.errors)")
            return nil
        }
        let json = try JSONSerialization.jsonObject(with: result.output) as? [String: Any]
        return json?["blockdevices"] as? [[String: Any]]
    }

    private func expectSame(_ device: Device, _ known: [String: Any]) {
        #expect(device.name == known["name"] as? String)
        #expect(device.byteCount == known["size"] as? UInt64, "\(device.name)")
        #expect(device.isReadOnly == known["ro"] as? Bool, "\(device.name)")
        #expect(device.isRotational == known["rota"] as? Bool, "\(device.name)")
        #expect(device.logicalSector == known["log-sec"] as? Int, "\(device.name)")
        #expect(device.physicalSector == known["phy-sec"] as? Int, "\(device.name)")
        #expect(device.discard.granularity == known["disc-gran"] as? UInt64, "\(device.name)")
        #expect(device.discard.maximumByteCount == known["disc-max"] as? UInt64, "\(device.name)")
        #expect(device.discard.zeroesData == known["disc-zero"] as? Bool, "\(device.name)")
        #expect(device.number.description == known["maj:min"] as? String)
        #expect(device.model == (known["model"] as? String)?.trimmingCharacters(in: .whitespaces), "\(device.name)")
    }

    @Test func everyDeviceOfThisMachine() throws {
        guard FileManager.default.fileExists(atPath: "/sys/class/block") else {
            return print("skipped: there is no /sys/class/block")
        }
        // Loop devices come and go with other tests; those are looked at one by one below.
        for known in try lsblk(["-d", "-e", "7"]) ?? [] {
            guard let name = known["name"] as? String, let device = try DeviceInventory()[name] else { continue }
            expectSame(device, known)
        }
        let root = try DeviceInventory().foundations(of: "/")
        for device in try DeviceInventory().devices where root.contains(device.number) { #expect(device.isSystemDisk) }
    }

    @Test(arguments: [512, 4096], [false, true])
    func loopDevices(_ sector: Int, _ isReadOnly: Bool) throws {
        guard let loops = LoopDevices() else { return }
        try loops.with(size: 64 << 20, sector: sector, isReadOnly: isReadOnly) { path in
            let (device, inventory) = try device(path)
            #expect(device.kind == .loop && device.byteCount == 64 << 20 && device.logicalSector == sector)
            let file = try #require(loops.scratch.names.first)
            #expect(device.backingFile == HostTree.realPath(of: loops.scratch.file(file)))
            #expect(device.uses.isEmpty && device.isOfInterest)
            #expect(try reasons(path) == (isReadOnly ? [.readOnly] : []))
            for known in try lsblk(["-d", path]) ?? [] { expectSame(device, known) }
            // The disk that the file lies on is below it, where that is a device at all.
            let below = inventory.foundations(of: loops.scratch.path)
            #expect(device.foundations.isSuperset(of: below))
            for disk in inventory.devices where below.contains(disk.number) {
                #expect(disk.uses.contains { $0.chain.last == device.name })
            }
        }
    }

    @Test func mountedAndHeldOpen() throws {
        guard let loops = LoopDevices() else { return }
        try loops.with(size: 16 << 20) { path in
            guard try loops.ran("mke2fs", ["-qF", path]) else { return }
            let place = loops.scratch.file("mount point")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
            guard try loops.ran("mount", [path, place]) else { return }
            defer { _ = try? loops.ran("umount", [place]) }
            #expect(try reasons(path) == [.mounted])
            #expect(HostTree.claim(path) == .busy)
            let uses = try device(path).0.uses
            #expect(uses.map(\.description) == ["mounted at \(place) (ext2)"] || uses.first?.isOfSystem == false)
            let (loop, inventory) = try device(path)
            #expect(inventory.foundations(of: place + "/new/journal").contains(loop.number))
            let journal = inventory.file(.journal, at: place + "/journal")
            #expect(journal.foundations.contains(loop.number))
        }
        try loops.with(size: 16 << 20) { path in
            // Held by this very process.
            let descriptor = unsafe open(path, O_RDONLY | O_EXCL)
            defer { close(descriptor) }
            let found = try reasons(path)
            #expect(found == [.inUse])
        }
    }

    @Test func swapAreas() throws {
        guard let loops = LoopDevices() else { return }
        try loops.with(size: 16 << 20) { path in
            guard try loops.ran("mkswap", [path]), try loops.ran("swapon", [path]) else { return }
            defer { _ = try? loops.ran("swapoff", [path]) }
            #expect(try reasons(path) == [.swap])
        }
    }

    @Test func multiDeviceBtrfs() throws {
        guard let loops = LoopDevices() else { return }
        try loops.with(size: 256 << 20) { first in
            try loops.with(size: 256 << 20) { second in
                guard try loops.ran("mkfs.btrfs", ["-q", first, second]) else { return }
                let place = loops.scratch.file("mnt")
                try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
                guard try loops.ran("mount", ["-o", "device=\(second)", first, place]) else { return }
                defer { _ = try? loops.ran("umount", [place]) }
                // Only one of the two stands in the mount table.
                #expect(try reasons(first) == [.mounted])
                #expect(try reasons(second) == [.mounted])
            }
        }
    }

    @Test func mappedDevices() throws {
        guard let loops = LoopDevices() else { return }
        try loops.with(size: 16 << 20) { path in
            let name = "reimage-test-\(getpid())"
            let table = "0 16384 linear \(path) 0"
            guard try loops.ran("dmsetup", ["create", "--noudevsync", name, "--table", table]) else { return }
            defer { _ = try? loops.ran("dmsetup", ["remove", "--noudevsync", name]) }
            #expect(try reasons(path) == [.held])
            let use = try #require(try device(path).0.uses.first)
            guard case .held(let holder) = use.kind else { Issue.record("not held: \(use)"); return }
            #expect(holder.label == name && holder.what == "device mapper")
        }
    }

    /// Partitions are told to the kernel one by one, since some kernels read no tables themselves.
    @Test(arguments: [512, 4096])
    func partitions(_ sector: Int) throws {
        guard let loops = LoopDevices(), let sfdisk = Program(named: "sfdisk") else { return }
        try loops.with(size: 64 << 20, sector: sector) { path in
            let script = "label: gpt\nsize=16MiB, name=first\nname=second\n"
            let made = try sfdisk.run(["-q", "--no-reread", path], input: Data(script.utf8))
            try #require(made.status == 0, "\(made.errors)")
            guard try loops.ran("partx", ["-a", path]) else { return }
            defer { _ = try? loops.ran("partx", ["-d", path]) }
            guard FileManager.default.fileExists(atPath: path + "p2"),
                try loops.ran("mkswap", ["-L", "sleep", path + "p2"])
            else { return print("skipped: the kernel made no partition nodes") }
            let (disk, inventory) = try device(path)
            let parts = inventory.partitions(of: disk)
            #expect(parts.map(\.path) == [path + "p1", path + "p2"])
            #expect(parts.first?.place == Device.Place(disk: disk.name, number: 1, start: 1 << 20))
            #expect(parts.first?.byteCount == 16 << 20)
            #expect(parts.last?.logicalSector == sector)
            #expect(parts.last?.foundations.contains(disk.number) == true)
            let survey = DeviceSurvey(disk, kernel: parts)
            #expect(survey.problems.isEmpty)
            #expect(survey.partitions.map { $0.signatures.first?.kind } == [nil, .swap])
            #expect(survey.partitions.last?.signatures.first?.label == "sleep")
            // What uses a partition uses its disk.
            guard try loops.ran("swapon", [path + "p2"]) else { return }
            defer { _ = try? loops.ran("swapoff", [path + "p2"]) }
            #expect(try reasons(path) == [.swap])
            #expect(try reasons(path + "p1").isEmpty)
        }
    }
}
