/// Recorded machines: the files that matter, as their kernels and udev show them.
enum Machines {
    /// A laptop: NVMe, an ESP, `/boot`, and LVM in LUKS that holds root and swap.
    static let laptop = """
        cd /sys/devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1
        dev = 259:0
        size = 2000409264
        ro = 0
        removable = 0
        wwid = eui.0025388b91d0a1b2
        diskseq = 9
        queue/rotational = 0
        queue/logical_block_size = 512
        queue/physical_block_size = 512
        queue/discard_max_bytes = 2199023255040
        queue/discard_granularity = 512
        queue/discard_zeroes_data = 0
        queue/write_zeroes_max_bytes = 1048576
        queue/zoned = none
        device -> ../../nvme0
        ../model = Samsung SSD 980 PRO 1TB                \u{20}
        ../serial = S5GXNX0R412345K    \u{20}
        nvme0n1p1/dev = 259:1
        nvme0n1p1/partition = 1
        nvme0n1p1/start = 2048
        nvme0n1p1/size = 1048576
        nvme0n1p1/ro = 0
        nvme0n1p2/dev = 259:2
        nvme0n1p2/partition = 2
        nvme0n1p2/start = 1050624
        nvme0n1p2/size = 2097152
        nvme0n1p10/dev = 259:3
        nvme0n1p10/partition = 10
        nvme0n1p10/start = 3147776
        nvme0n1p10/size = 1997260800
        nvme0n1p10/holders/dm-0 -> ../../../../../../../../virtual/block/dm-0
        /sys/class/block/nvme0n1 -> ../../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1
        /sys/class/block/nvme0n1p1 -> ../../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1/nvme0n1p1
        /sys/class/block/nvme0n1p2 -> ../../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1/nvme0n1p2
        /sys/class/block/nvme0n1p10 -> ../../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1/nvme0n1p10
        /dev/nvme0n1 block 259:0
        /dev/nvme0n1p1 block 259:1
        /dev/nvme0n1p2 block 259:2
        /dev/nvme0n1p10 block 259:3
        cd /sys/devices/virtual/block
        dm-0/dev = 254:0
        dm-0/size = 1997256704
        dm-0/dm/name = luks-1111
        dm-0/dm/uuid = CRYPT-LUKS2-11111111222233334444555555555555-luks-1111
        dm-0/slaves/nvme0n1p10 -> /sys/class/block/nvme0n1p10
        dm-0/holders/dm-1 -> /sys/class/block/dm-1
        dm-0/holders/dm-2 -> /sys/class/block/dm-2
        dm-1/dev = 254:1
        dm-1/size = 1980473344
        dm-1/dm/name = vg-root
        dm-1/dm/uuid = LVM-abcdefghijklmnopqrstuvwxyz012345abcdefghijklmnopqrstuvwxyz012345
        dm-1/slaves/dm-0 -> /sys/class/block/dm-0
        dm-2/dev = 254:2
        dm-2/size = 16777216
        dm-2/dm/name = vg-swap
        dm-2/dm/uuid = LVM-abcdefghijklmnopqrstuvwxyz012345zzzzzzzzzzzzzzzzzzzzzzzzzz012345
        dm-2/slaves/dm-0 -> /sys/class/block/dm-0
        zram0/dev = 253:0
        zram0/size = 8388608
        zram0/removable = 0
        /sys/class/block/dm-0 -> ../../devices/virtual/block/dm-0
        /sys/class/block/dm-1 -> ../../devices/virtual/block/dm-1
        /sys/class/block/dm-2 -> ../../devices/virtual/block/dm-2
        /sys/class/block/zram0 -> ../../devices/virtual/block/zram0
        /dev/dm-0 block 254:0
        /dev/dm-1 block 254:1
        /dev/dm-2 block 254:2
        /dev/zram0 block 253:0
        /dev/mapper/vg-root -> ../dm-1
        /dev/mapper/vg-swap -> ../dm-2
        /dev/disk/by-id/nvme-eui.0025388b91d0a1b2 -> ../../nvme0n1
        /dev/disk/by-id/nvme-Samsung_SSD_980_PRO_1TB_S5GXNX0R412345K -> ../../nvme0n1
        /dev/disk/by-id/nvme-Samsung_SSD_980_PRO_1TB_S5GXNX0R412345K-part1 -> ../../nvme0n1p1
        /home/ann/vm.qcow2 on 254:1
        /boot/vmlinuz on 259:2
        /proc/swaps <<
        Filename				Type		Size		Used		Priority
        /dev/dm-2                               partition	8388604		0		-2
        /dev/zram0                              partition	4194300		0		100
        >>
        /proc/self/mountinfo <<
        21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw,errors=remount-ro
        22 21 0:20 / /proc rw,nosuid shared:2 - proc proc rw
        30 21 259:2 / /boot rw,relatime shared:3 - ext4 /dev/nvme0n1p2 rw
        31 30 259:1 / /boot/efi rw,relatime shared:4 - vfat /dev/nvme0n1p1 rw,fmask=0077
        >>
        """

    /// A server: two SATA disks, each with an ESP and an MD member; root on the array, LVM with a guest's disk on it.
    static let server = """
        cd /sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda
        dev = 8:0
        size = 7814037168
        ro = 0
        removable = 0
        device -> ../../../0:0:0:0
        ../../model = WDC WD40EFRX-68N
        ../../vendor = ATA    \u{20}
        ../../type = 0
        ../../wwid = naa.50014ee2b1c2d3e4
        queue/rotational = 1
        queue/logical_block_size = 512
        queue/physical_block_size = 4096
        sda1/dev = 8:1
        sda1/partition = 1
        sda1/start = 2048
        sda1/size = 1048576
        sda2/dev = 8:2
        sda2/partition = 2
        sda2/start = 1050624
        sda2/size = 7812984832
        sda2/holders/md127 -> /sys/class/block/md127
        cd /sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb
        dev = 8:16
        size = 7814037168
        removable = 0
        device -> ../../../1:0:0:0
        ../../model = WDC WD40EFRX-68N
        ../../vendor = ATA    \u{20}
        sdb1/dev = 8:17
        sdb1/partition = 1
        sdb1/start = 2048
        sdb1/size = 1048576
        sdb2/dev = 8:18
        sdb2/partition = 2
        sdb2/start = 1050624
        sdb2/size = 7812984832
        sdb2/holders/md127 -> /sys/class/block/md127
        cd /sys/class/block
        sda -> ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda
        sda1 -> ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1
        sda2 -> ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda2
        sdb -> ../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb
        sdb1 -> ../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb/sdb1
        sdb2 -> ../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb/sdb2
        md127 -> ../../devices/virtual/block/md127
        dm-0 -> ../../devices/virtual/block/dm-0
        dm-1 -> ../../devices/virtual/block/dm-1
        cd /sys/devices/virtual/block
        md127/dev = 9:127
        md127/size = 7812722688
        md127/md/level = raid1
        md127/slaves/sda2 -> /sys/class/block/sda2
        md127/slaves/sdb2 -> /sys/class/block/sdb2
        md127/holders/dm-0 -> /sys/class/block/dm-0
        dm-0/dev = 253:0
        dm-0/size = 209715200
        dm-0/dm/name = vg0-root
        dm-0/dm/uuid = LVM-1
        dm-0/slaves/md127 -> /sys/class/block/md127
        dm-1/dev = 253:1
        dm-1/size = 209715200
        dm-1/dm/name = vg0-guest
        dm-1/dm/uuid = LVM-2
        dm-1/slaves/md127 -> /sys/class/block/md127
        cd /dev
        sda block 8:0
        sda1 block 8:1
        sda2 block 8:2
        sdb block 8:16
        sdb1 block 8:17
        sdb2 block 8:18
        md127 block 9:127
        dm-0 block 253:0
        dm-1 block 253:1
        disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K1234567 -> ../../sda
        disk/by-id/wwn-0x50014ee2b1c2d3e4 -> ../../sda
        disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K7654321 -> ../../sdb
        /run/udev/data/b8:0 <<
        S:disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K1234567
        E:ID_BUS=ata
        E:ID_SERIAL_SHORT=WD-WCC7K1234567
        E:ID_WWN=0x50014ee2b1c2d3e4
        >>
        /proc/swaps <<
        Filename				Type		Size		Used		Priority
        /swap\\040file                           file		2097148		0		-2
        >>
        /proc/self/mountinfo <<
        25 1 253:0 / / rw,relatime - xfs /dev/root rw
        26 25 8:1 / /boot/efi rw - vfat /dev/sda1 rw
        >>
        """
}
