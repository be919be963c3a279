import ReimageCore
import ReimageDisks
import ReimageSystem
import Testing

/// What the inventory makes of recorded machines.
@Suite struct InventoryTests {
    @Test func aLaptop() throws {
        let inventory = try DeviceInventory(tree: RecordedTree(Machines.laptop))
        let disk = try #require(inventory["nvme0n1"])
        #expect(disk.path == "/dev/nvme0n1")
        #expect(disk.kind == .disk && disk.bus == .nvme)
        #expect(disk.byteCount == 1_024_209_543_168)
        #expect(disk.model == "Samsung SSD 980 PRO 1TB" && disk.serial == "S5GXNX0R412345K")
        #expect(disk.worldWideName == "eui.0025388b91d0a1b2")
        #expect(
            disk.stablePaths == [
                "/dev/disk/by-id/nvme-Samsung_SSD_980_PRO_1TB_S5GXNX0R412345K",
                "/dev/disk/by-id/nvme-eui.0025388b91d0a1b2",
            ])
        #expect(!disk.isRemovable && !disk.isReadOnly && !disk.isRotational && !disk.isZoned)
        #expect(disk.sequence == 9)
        #expect(
            disk.discard
                == Device.Discard(
                    maximumByteCount: 2_199_023_255_040, granularity: 512, maximumZeroByteCount: 1_048_576))
        #expect(disk.partitions == ["nvme0n1p1", "nvme0n1p2", "nvme0n1p10"])
        #expect(inventory["nvme0n1p2"]?.place == Device.Place(disk: "nvme0n1", number: 2, start: 537_919_488))
        #expect(inventory["nvme0n1p2"]?.serial == disk.serial)
        #expect(disk.isSystemDisk)
        #expect(
            disk.uses.map(\.description) == [
                "mounted at /boot/efi (vfat, through nvme0n1p1)",
                "mounted at /boot (ext4, through nvme0n1p2)",
                "held by LUKS luks-1111 (dm-0, through nvme0n1p10)",
                "mounted at / (ext4, through nvme0n1p10, dm-0, dm-1)",
                "held by LVM vg-root (dm-1, through nvme0n1p10, dm-0)",
                "swap (through nvme0n1p10, dm-0, dm-2)",
                "held by LVM vg-swap (dm-2, through nvme0n1p10, dm-0)",
            ])
        #expect(inventory["dm-1"]?.uses.map(\.description) == ["mounted at / (ext4)"])
        #expect(inventory["zram0"]?.kind == .memory)
        #expect(inventory.listed().map(\.name) == ["dm-0", "dm-1", "dm-2", "nvme0n1"])
        #expect(inventory.listed(all: true).map(\.name).contains("zram0"))
        #expect(inventory.foundations(of: "/home/ann/vm.qcow2").contains(disk.number))
        #expect(inventory.foundations(of: "/home/ann/new/journal").contains(disk.number))
        #expect(inventory.foundations(of: "/boot/journal").contains(DeviceNumber(major: 259, minor: 2)))
    }

    @Test func aServer() throws {
        let inventory = try DeviceInventory(tree: RecordedTree(Machines.server))
        let first = try #require(inventory["sda"])
        let second = try #require(inventory["sdb"])
        #expect(first.bus == .sata && first.vendor == nil && first.serial == "WD-WCC7K1234567")
        #expect(first.worldWideName == "0x50014ee2b1c2d3e4")
        #expect(first.isRotational && first.physicalSector == 4096)
        // Without udev's file nothing tells the serial; the stable name still holds it.
        #expect(second.serial == nil && second.stablePaths.first?.hasSuffix("WD-WCC7K7654321") == true)
        // The second half of the mirror carries the system as much as the first.
        #expect(first.isSystemDisk && second.isSystemDisk)
        #expect(second.uses.contains { $0.description == "mounted at / (xfs, through sdb2, md127, dm-0)" })
        #expect(second.uses.contains { $0.description == "held by MD raid1 (md127, through sdb2)" })
        #expect(second.uses.contains { $0.description == "swap (through sdb2, md127, dm-0)" })
        let guest = try #require(inventory["dm-1"])
        #expect(guest.uses.isEmpty && guest.label == "vg0-guest")
        #expect(guest.foundations.contains(first.number) && guest.foundations.contains(second.number))
    }
}
