import ReimageCore
import ReimageDisks
import ReimageSystem
import Testing

/// What may be done with a device, and with what proof that it is meant.
@Suite struct RulesTests {
    /// A stick of 32 GB that nothing uses.
    private let stick: Device = {
        var device = Device(
            name: "sdx", path: "/dev/sdx", number: DeviceNumber(major: 8, minor: 240), bus: .usb,
            byteCount: 32_000_000_000)
        device.isRemovable = true
        device.serial = "4C530001120523115341"
        device.foundations = [device.number]
        return device
    }()

    private func reasons(_ device: Device, _ request: DeviceRequest = DeviceRequest(.restore)) -> [DeviceRefusal.Reason]
    {
        DeviceRules.refusals(for: device, request).map(\.reason)
    }

    private func machine(_ text: String, _ name: String) throws -> Device {
        try #require(try DeviceInventory(tree: RecordedTree(text))[name])
    }

    @Test func nothingStandsInTheWay() {
        #expect(reasons(stick).isEmpty)
        #expect(reasons(stick, DeviceRequest(.restore, neededByteCount: 32_000_000_000, claim: .free)).isEmpty)
        #expect(reasons(stick, DeviceRequest(.capture(live: false))).isEmpty)
    }

    @Test func recordedMachines() throws {
        #expect(
            reasons(try machine(Machines.laptop, "nvme0n1")) == [.system, .swap, .held, .held, .held])
        #expect(reasons(try machine(Machines.laptop, "nvme0n1p1")) == [.system, .partition])
        #expect(reasons(try machine(Machines.laptop, "dm-2")) == [.swap])
        #expect(reasons(try machine(Machines.laptop, "zram0")) == [.swap, .cannotBeWritten])
        #expect(reasons(try machine(Machines.server, "sdb")).contains(.system))
        #expect(reasons(try machine(Machines.server, "dm-1")).isEmpty, "an unused volume is nobody's")
        #expect(reasons(try machine(Machines.desktop, "sdc")) == [.mounted, .held])
        #expect(reasons(try machine(Machines.desktop, "mmcblk0")) == [.readOnly])
        #expect(reasons(try machine(Machines.desktop, "sdd")) == [.noMedium])
        #expect(reasons(try machine(Machines.desktop, "sr0")) == [.cannotBeWritten])
        #expect(reasons(try machine(Machines.desktop, "loop0")).isEmpty)
        #expect(reasons(try machine(Machines.butter, "sda")) == [.system, .mounted])
        #expect(reasons(try machine(Machines.butter, "sdd")) == [.mounted])
    }

    @Test func adviceNamesTheCommand() throws {
        let stick = DeviceRules.refusals(for: try machine(Machines.desktop, "sdc"), DeviceRequest(.restore))
        #expect(stick.map(\.advice) == ["Unmount it: umount '/media/My Stick'.", "Detach it: losetup -d /dev/loop0."])
        let disk = DeviceRules.refusals(for: try machine(Machines.server, "sdb"), DeviceRequest(.restore))
        #expect(disk.map(\.advice).contains("Stop the array: mdadm --stop /dev/md127."))
        let laptop = DeviceRules.refusals(for: try machine(Machines.laptop, "nvme0n1"), DeviceRequest(.restore))
        #expect(laptop.map(\.advice).contains("Close it: cryptsetup close luks-1111."))
        let error = ImageError(laptop, path: "/dev/nvme0n1")
        #expect(error.code == .refused && error.file == "/dev/nvme0n1")
        #expect(error.description.split(separator: "\n").count == 2)
    }

    @Test func everyUseIsNamedAtOnce() throws {
        var device = stick
        device.isReadOnly = true
        device.isZoned = true
        device.place = Device.Place(disk: "sdx", number: 2, start: 1 << 20)
        device.uses = [
            DeviceUse(.mounted(at: ["/"], fileSystem: "ext4"), chain: ["sdx"]),
            DeviceUse(.mounted(at: ["/srv"], fileSystem: "ext4"), chain: ["sdx"]),
            DeviceUse(.swap, chain: ["sdx"]),
            DeviceUse(.held(by: DeviceUse.Holder(name: "dm-9", what: "LVM", label: "a-b")), chain: ["sdx", "dm-9"]),
        ]
        let request = DeviceRequest(
            .restore, neededByteCount: 64_000_000_000,
            files: [DeviceRequest.File(.journal, path: "/srv/j", foundations: [device.number])], claim: .busy)
        #expect(
            reasons(device, request) == [
                .system, .mounted, .swap, .held, .readOnly, .cannotBeWritten, .partition, .tooSmall, .holdsFile,
            ])
        // A capture only reads, and a live one says that it knows.
        let capture = DeviceRequest(.capture(live: false), claim: .busy)
        #expect(reasons(device, capture) == [.system, .mounted, .swap, .held])
        #expect(DeviceRules.refusals(for: device, capture).allSatisfy { $0.advice.contains("--live") })
        #expect(reasons(device, DeviceRequest(.capture(live: true), claim: .busy)).isEmpty)
    }

    @Test func anotherProcess() {
        #expect(reasons(stick, DeviceRequest(.restore, claim: .busy)) == [.inUse])
        #expect(reasons(stick, DeviceRequest(.capture(live: false), claim: .busy)) == [.inUse])
        #expect(reasons(stick, DeviceRequest(.restore, claim: .unknown("Permission denied"))).isEmpty)
    }

    @Test func sizes() throws {
        #expect(reasons(stick, DeviceRequest(.restore, neededByteCount: 32_000_000_000)).isEmpty)
        let refusal = try #require(
            DeviceRules.refusals(for: stick, DeviceRequest(.restore, neededByteCount: 32_000_000_512)).first)
        #expect(refusal.reason == .tooSmall)
        #expect(refusal.message.contains("512 B less than the"))
    }

    @Test func partitionsAndWholeDisks() {
        var device = stick
        device.place = Device.Place(disk: "sdx", number: 1, start: 1 << 20)
        #expect(reasons(device) == [.partition])
        #expect(reasons(device, DeviceRequest(.restore, allowsPartition: true)).isEmpty)
        #expect(reasons(device, DeviceRequest(.restore, isWholeDisk: false)).isEmpty)
        #expect(reasons(device, DeviceRequest(.capture(live: false))).isEmpty)
    }

    @Test func filesOnTheDevice() throws {
        let inventory = try DeviceInventory(tree: RecordedTree(Machines.desktop))
        let loop = try #require(inventory["loop0"])
        let root = try #require(inventory["vda"])
        let disk = try #require(inventory["sdc"])
        func reasons(
            _ device: Device, _ role: DeviceRequest.File.Role, _ path: String,
            _ operation: DeviceRequest.Operation = .restore
        ) -> [String] {
            DeviceRules.refusals(for: device, DeviceRequest(operation, files: [inventory.file(role, at: path)]))
                .filter { $0.reason == .holdsFile }.map(\.message)
        }
        #expect(reasons(root, .source, "/root/disk.raw") == ["the source, /root/disk.raw, lies on it"])
        #expect(reasons(root, .journal, "/root/new.journal") == ["the journal, /root/new.journal, lies on it"])
        #expect(reasons(disk, .source, "/root/disk.raw").isEmpty)
        #expect(reasons(disk, .source, "/dev/sdc") == ["it is the source itself"])
        #expect(reasons(disk, .source, "/dev/sdc1") == ["the source, /dev/sdc1, lies on it"])
        #expect(
            reasons(try #require(inventory["sdc1"]), .source, "/dev/sdc") == ["it is a part of the source, /dev/sdc"])
        #expect(reasons(disk, .source, "/dev/loop0") == ["the source, /dev/loop0, lies on it"])
        #expect(reasons(root, .image, "/root/out.qcow2", .capture(live: true)).count == 1)
        #expect(reasons(disk, .image, "/media/My Stick/out", .capture(live: true)).count == 1)
        #expect(reasons(disk, .image, "/root/out.qcow2", .capture(live: false)).isEmpty)
        // The same bytes under two names.
        let alias = DeviceRequest.File(.source, path: "disk.img", realPath: "/media/My Stick/disk.img")
        let refusals = DeviceRules.refusals(for: loop, DeviceRequest(.restore, files: [alias]))
        #expect(refusals.map(\.message) == ["it is a loop device on the source, disk.img"])
    }

    @Test func pathsBelowDev() {
        #expect(DeviceRules.refusal(forPath: "/dev/sdx", kind: .blockDevice) == nil)
        for kind: FileKind? in [nil, .regular, .stream, .directory] {
            let refusal = DeviceRules.refusal(forPath: "/dev/sdx", kind: kind)
            #expect(refusal?.reason == .notADevice)
        }
        #expect(DeviceRules.refusal(forPath: "disk.raw", kind: .regular)?.advice.contains("convert") == true)
    }

    // MARK: Confirmation

    @Test(arguments: [
        "5341", "523115341", "4C530001120523115341", "4c530001120523115341", "rial", "serial-0:0", "wwn9876",
    ])
    func confirms(_ text: String) {
        var device = stick
        device.stablePaths = ["/dev/disk/by-id/usb-SanDisk_serial-0:0", "/dev/disk/by-id/wwn-wwn9876"]
        #expect(DeviceConfirmation(device).refusal(for: .text(text)) == nil)
    }

    @Test(arguments: [
        "", "341", "1534", "sdx", "/dev/sdx", "yes", "32000000000", "14C530001120523115341",
        // Endings that every stick and partition has.
        "-0:0", "l-0:0", "ial-0:0", "art1", "-part1", "0:0-part1", "ial-0:0-part1",
    ])
    func doesNotConfirm(_ text: String) {
        var stick = stick
        stick.stablePaths = [
            "/dev/disk/by-id/usb-SanDisk_serial-0:0", "/dev/disk/by-id/usb-SanDisk_serial-0:0-part1",
        ]
        #expect(DeviceConfirmation(stick).refusal(for: .text(text))?.reason == .notConfirmed)
    }

    @Test func sizeConfirmsWhatHasNoSerial() {
        var device = stick
        device.serial = nil
        device.byteCount = 64 << 20
        let confirmation = DeviceConfirmation(device)
        #expect(confirmation.identities == [.size(64 << 20)])
        for text in ["67108864", "64 MiB", "64MiB", "64mib"] {
            #expect(confirmation.refusal(for: .text(text)) == nil, "\(text)")
        }
        for text in ["64", "64M", "6710886", "8864", ""] {
            #expect(confirmation.refusal(for: .text(text)) != nil, "\(text)")
        }
        // Three characters are no serial that could be asked for.
        device.serial = "123"
        #expect(DeviceConfirmation(device).refusal(for: .text("123")) != nil)
        #expect(DeviceConfirmation(device).question.contains("64 MiB"))
    }

    @Test func yesAloneOnlyForWhatCanBeTakenOut() {
        #expect(DeviceConfirmation(stick).refusal(for: .yes) == nil)
        #expect(DeviceConfirmation(stick).refusal(for: .nothing)?.reason == .notConfirmed)
        var fixed = stick
        fixed.isRemovable = false
        #expect(DeviceConfirmation(fixed).refusal(for: .yes)?.advice.contains("(4C530001120523115341)") == true)
        fixed.kind = .loop
        #expect(DeviceConfirmation(fixed).refusal(for: .yes) == nil)
    }
}
