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

extension InventoryTests {
    @Test func sticksCardsAndLoops() throws {
        let inventory = try DeviceInventory(tree: RecordedTree(Machines.desktop))
        #expect(inventory.listed().map(\.name) == ["loop0", "mmcblk0", "sdc", "sr0", "vda"])
        #expect(inventory.listed(all: true).count == 7)
        let root = try #require(inventory["vda"])
        #expect(root.bus == .virtio && root.serial == "root-disk" && root.isSystemDisk && root.model == nil)
        let stick = try #require(inventory["sdc"])
        #expect(stick.bus == .usb && stick.isRemovable && stick.serial == "4C530001120523115341")
        #expect(stick.fullModel == "SanDisk Ultra")
        #expect(
            stick.uses.map(\.description) == [
                "mounted at /media/My Stick (vfat, through sdc1)",
                "held by loop device /media/My Stick/disk.img (loop0, through sdc1)",
            ])
        let card = try #require(inventory["mmcblk0"])
        #expect(card.bus == .mmc && card.isRemovable && card.isReadOnly && card.model == "SC32G")
        #expect(card.serial == "0x6b8a0f2c")
        #expect(inventory["sr0"]?.kind == .optical)
        let loop = try #require(inventory["loop0"])
        #expect(loop.kind == .loop && loop.bus == .virtual && loop.uses.isEmpty)
        #expect(loop.foundations == [loop.number, stick.number, DeviceNumber(major: 8, minor: 33)])
    }

    @Test func mountsThatHideTheirDisks() throws {
        let inventory = try DeviceInventory(tree: RecordedTree(Machines.butter))
        for name in ["sda", "sdb"] {
            let disk = try #require(inventory[name])
            #expect(disk.isSystemDisk, "\(name) carries the overlay's layers")
            #expect(disk.uses.map(\.description) == ["mounted at /live (btrfs)", "mounted at / (overlay)"])
        }
        #expect(inventory["sdc"]?.uses.map(\.description) == ["mounted at /srv, /live/rw (xfs)"])
        // A mount that only the first process sees does not hold what this one has at the same path.
        #expect(!inventory.foundations(of: "/live/rw/file").contains(DeviceNumber(major: 8, minor: 32)))
        #expect(inventory.foundations(of: "/live/rw/file").contains(DeviceNumber(major: 8, minor: 0)))
        #expect(inventory["sdd"]?.uses.map(\.description) == ["an open btrfs file system"])
    }

    @Test func pathsThatAreNoDevices() throws {
        let inventory = try DeviceInventory(tree: RecordedTree(Machines.desktop))
        #expect(try inventory.device(at: "/dev/../dev/sdc").name == "sdc")
        let missing = #expect(throws: ImageError.self) { try inventory.device(at: "/dev/sdx") }
        #expect(missing?.code == .unreadable && missing?.file == "/dev/sdx")
        let file = #expect(throws: ImageError.self) { try inventory.device(at: "/root/disk.raw") }
        #expect(file?.code == .refused)
        let nothing = #expect(throws: ImageError.self) { try DeviceInventory(tree: RecordedTree("/proc/swaps = x")) }
        #expect(nothing?.code == .unsupported)
    }

    /// Files that say nonsense give a device without that fact, never a trap.
    @Test(arguments: [
        "size = 18446744073709551615", "size = -1", "size = \u{7F}", "partition = 99999999999999999999",
        "start = 18446744073709551615", "queue/logical_block_size = 0", "queue/logical_block_size = 513",
        "slaves/sda -> /sys/class/block/sda", "holders/sda -> /nowhere", "loop/backing_file = /dev/sda",
        "device/vpd_pg80 = x", "removable = maybe", "serial = 00000000",
    ])
    func nonsense(_ line: String) throws {
        let tree = RecordedTree(
            """
            cd /sys/devices/x/block/sda
            dev = 8:0
            \(line)
            /sys/class/block/sda -> ../../devices/x/block/sda
            /sys/class/block/gone -> ../../devices/x/block/gone
            /dev/sda block 8:0
            /proc/swaps = Filename
            /proc/self/mountinfo = 1 2 3
            """)
        let device = try #require(try DeviceInventory(tree: tree)["sda"])
        #expect(device.logicalSector == 512 && device.uses.isEmpty && device.serial == nil)
        #expect(device.byteCount == 0 && !device.isOfInterest)
    }
}

extension InventoryTests {
    @Test(arguments: [
        ("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme"),
        ("/sys/devices/virtual/nvme-fabrics/ctl/nvme3/nvme3n1", "nvme"),
        ("/sys/devices/pci0000:00/0000:00:04.0/virtio1/host0/target0:0:1/0:0:1:0/block/sda", "scsi"),
        ("/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda", "virtio"),
        ("/sys/devices/vbd-51712/block/xvda", "xen"),
        ("/sys/devices/platform/soc/mmc_host/mmc1/mmc1:0001/block/mmcblk1", "mmc"),
        ("/sys/devices/pci0000:00/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdf", "usb"),
        ("/sys/devices/virtual/block/loop0", "virtual"),
        ("/sys/devices/css0/0.0.0001/0.0.0200/block/dasda", "unknown"),
    ])
    func buses(_ directory: String, _ bus: String) throws {
        let name = try #require(directory.split(separator: "/").last)
        let tree = RecordedTree(
            """
            \(directory)/dev = 8:0
            /sys/class/block/\(name) -> \(directory)
            """)
        #expect(try DeviceInventory(tree: tree).devices.map(\.bus.rawValue) == [bus])
    }
}

extension InventoryTests {
    /// Overlays on overlays, each on all the others: a machine full of containers, or a broken table.
    @Test(.timeLimit(.minutes(1))) func manyOverlays() throws {
        let layers = (0..<30).map { "/layer/\($0)/x" }.joined(separator: ":")
        let overlays = (0..<30).map {
            "\(100 + $0) 1 0:\(60 + $0) / /layer/\($0) rw - overlay none rw,lowerdir=\(layers):/x"
        }
        let tree = RecordedTree(
            """
            cd /sys/devices/x/block/sda
            dev = 8:0
            /sys/class/block/sda -> ../../devices/x/block/sda
            /dev/sda block 8:0
            /proc/self/mountinfo <<
            1 1 8:0 / / rw - ext4 /dev/sda rw
            \(overlays.joined(separator: "\n"))
            >>
            """)
        let device = try #require(try DeviceInventory(tree: tree)["sda"])
        #expect(device.isSystemDisk && device.uses.count == 2)
    }
}
