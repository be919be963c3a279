extension Machines {
    /// A virtual machine: root on a virtio disk without partitions, a stick that is mounted by hand, an SD card whose
    /// switch is on, an empty card reader, a CD drive, a loop device over a file on the stick, and one without a file.
    static let desktop = """
        cd /sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda
        dev = 254:0
        size = 83886080
        serial = root-disk
        queue/rotational = 1
        cd /sys/devices/pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host4/target4:0:0/4:0:0:0/block/sdc
        dev = 8:32
        size = 60062500
        removable = 1
        device -> ../../../4:0:0:0
        ../../vendor = SanDisk\u{20}
        ../../model = Ultra           \u{20}
        ../../type = 0
        ../../../../../../idVendor = 0781
        ../../../../../../serial = 4C530001120523115341
        sdc1/dev = 8:33
        sdc1/partition = 1
        sdc1/start = 2048
        sdc1/size = 60060452
        cd /sys/devices/pci0000:00/0000:00:14.0/usb2/2-4/2-4:1.0/host5/target5:0:0/5:0:0:0/block/sdd
        dev = 8:48
        size = 0
        removable = 1
        cd /sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0
        dev = 179:0
        size = 62333952
        ro = 1
        removable = 0
        device -> ../../../mmc0:aaaa
        ../../type = SD
        ../../name = SC32G
        ../../serial = 0x6b8a0f2c
        cd /sys/devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sr0
        dev = 11:0
        size = 1310720
        removable = 1
        device -> ../../../2:0:0:0
        ../../type = 5
        ../../model = DVD-RW
        cd /sys/devices/virtual/block
        loop0/dev = 7:0
        loop0/size = 131072
        loop0/loop/backing_file = /media/My Stick/disk.img
        loop1/dev = 7:1
        loop1/size = 0
        cd /sys/class/block
        vda -> ../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda
        sdc -> ../../devices/pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host4/target4:0:0/4:0:0:0/block/sdc
        sdc1 -> ../../devices/pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host4/target4:0:0/4:0:0:0/block/sdc/sdc1
        sdd -> ../../devices/pci0000:00/0000:00:14.0/usb2/2-4/2-4:1.0/host5/target5:0:0/5:0:0:0/block/sdd
        mmcblk0 -> ../../devices/pci0000:00/0000:00:1c.0/0000:01:00.0/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0
        sr0 -> ../../devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sr0
        loop0 -> ../../devices/virtual/block/loop0
        loop1 -> ../../devices/virtual/block/loop1
        cd /dev
        vda block 254:0
        sdc block 8:32
        sdc1 block 8:33
        sdd block 8:48
        mmcblk0 block 179:0
        sr0 block 11:0
        loop0 block 7:0
        loop1 block 7:1
        null on 0:5
        /root/disk.raw on 254:0
        /media/My\\040Stick/disk.img on 8:33
        /proc/swaps <<
        Filename				Type		Size		Used		Priority
        >>
        /proc/self/mountinfo <<
        27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
        90 27 8:33 / /media/My\\040Stick rw,nosuid - vfat /dev/sdc1 rw
        not a mount at all
        >>
        """

    /// A btrfs over two whole disks, mounted from one of them under an anonymous number, with an overlay on top; a
    /// third disk carries a file system that only the first process has mounted.
    static let butter = """
        cd /sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda
        dev = 8:0
        size = 2097152
        cd /sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb
        dev = 8:16
        size = 2097152
        cd /sys/devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sdc
        dev = 8:32
        size = 2097152
        cd /sys/devices/pci0000:00/0000:00:17.0/ata4/host3/target3:0:0/3:0:0:0/block/sdd
        dev = 8:48
        size = 2097152
        cd /sys/class/block
        sda -> ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda
        sdb -> ../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb
        sdc -> ../../devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sdc
        sdd -> ../../devices/pci0000:00/0000:00:17.0/ata4/host3/target3:0:0/3:0:0:0/block/sdd
        cd /sys/fs/btrfs
        features/raid1c34 = 0
        2f6b/devices/sda -> /sys/class/block/sda
        2f6b/devices/sdb -> /sys/class/block/sdb
        77aa/devices/sdd -> /sys/class/block/sdd
        cd /dev
        sda block 8:0
        sdb block 8:16
        sdc block 8:32
        sdd block 8:48
        /proc/self/mountinfo <<
        40 1 0:50 / / rw - overlay overlay rw,lowerdir=/live/ro,upperdir=/live/rw/up,workdir=/live/rw/work
        41 40 0:39 /@ /live rw,relatime - btrfs /dev/sdb rw,subvolid=256
        >>
        /proc/1/mountinfo <<
        60 1 8:32 / /srv rw - xfs /dev/sdc rw
        61 1 8:32 /x /live/rw rw - xfs /dev/sdc rw
        >>
        """
}
