public import ReimageCore

/// Plans what must change in a disk's image for a target of another size, of other sectors, or beside the original.
///
/// Only the image is read, nothing is written. What fits the target as it is stays as it is, byte for byte.
public enum FixUps {
    /// The changes for a target of `targetByteCount` bytes.
    ///
    /// - Parameters:
    ///   - disk: the image's disk.
    ///   - imageSectorSize: the logical sector that the image is said to have; where the partition table was plainly
    ///     written for another one, that one counts.
    /// - Throws: `.refused` where the content does not fit, with the partition or the byte in the way, and by how much;
    ///   `.damaged` where the table would have to be changed and cannot be; `.unreadable` on an I/O error.
    public static func plan(
        disk: any BlockDevice, imageSectorSize: Int, targetByteCount: UInt64, targetSectorSize: Int,
        options: FixUpOptions = FixUpOptions()
    ) throws(ImageError) -> FixUpPlan {
        for size in [imageSectorSize, targetSectorSize]
        where !PartitionTable.sectorSizes.contains(size) || size & (size - 1) != 0 {
            throw ImageError(.invalidArgument, "\(size) bytes are no sector of a disk")
        }
        let target = TargetDisk(
            byteCount: targetByteCount.roundedDown(to: UInt64(targetSectorSize)), sectorSize: targetSectorSize)
        var planner = FixUpPlanner(disk: disk, imageSectorSize: imageSectorSize, target: target, options: options)
        try planner.make()
        return planner.finished()
    }
}

/// What the plan must know of the target.
struct TargetDisk {
    let byteCount: UInt64
    let sectorSize: Int

    var unit: UInt64 { UInt64(sectorSize) }
    var sectorCount: UInt64 { byteCount / unit }
}
