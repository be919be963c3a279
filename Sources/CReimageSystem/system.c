#define _GNU_SOURCE
#include "CReimageSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#endif
#ifdef __APPLE__
#include <sys/disk.h>
#endif

off_t reimage_seek_data(int fd, off_t offset) { return lseek(fd, offset, SEEK_DATA); }
off_t reimage_seek_hole(int fd, off_t offset) { return lseek(fd, offset, SEEK_HOLE); }
uint32_t reimage_major(uint64_t device) { return (uint32_t)major((dev_t)device); }
uint32_t reimage_minor(uint64_t device) { return (uint32_t)minor((dev_t)device); }
int reimage_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB); }

int reimage_free_space(int fd, uint64_t *bytes) {
    struct statvfs status;
    if (fstatvfs(fd, &status) != 0) return -1;
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return 0;
}

static int online_processors(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

#ifdef __linux__

int reimage_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return online_processors();
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

int reimage_direct_flag(void) { return O_DIRECT; }

int reimage_bypass_cache(int fd) {
    (void)fd;
    return 0;
}

int reimage_punch_hole(int fd, off_t offset, off_t count) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int reimage_zero_range(int fd, off_t offset, off_t count) {
    return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int reimage_reserve(int fd, off_t offset, off_t count) { return fallocate(fd, 0, offset, count); }

int reimage_share_blocks(int from, off_t start, off_t count, int to, off_t offset) {
    struct file_clone_range range = {from, (uint64_t)start, (uint64_t)count, (uint64_t)offset};
    return ioctl(to, FICLONERANGE, &range);
}

int reimage_queues_fresh_writes(int fd) {
    struct statfs status;
    return fstatfs(fd, &status) == 0 && status.f_type == EXT4_SUPER_MAGIC;
}

ssize_t reimage_read_cached(int fd, void *bytes, size_t count, off_t offset) {
    struct iovec part = {bytes, count};
    return preadv2(fd, &part, 1, offset, RWF_NOWAIT);
}

void reimage_start_writeback(int fd, off_t offset, off_t count) {
    (void)!sync_file_range(fd, offset, count, SYNC_FILE_RANGE_WRITE);
}

int reimage_drop_cache(int fd, off_t offset, off_t count) {
    int error = posix_fadvise(fd, offset, count, POSIX_FADV_DONTNEED);
    if (error == 0) return 0;
    errno = error;
    return -1;
}

int reimage_device_length(int fd, uint64_t *bytes) { return ioctl(fd, BLKGETSIZE64, bytes); }

int reimage_device_sector(int fd, uint32_t *bytes) {
    int sector = 0;
    if (ioctl(fd, BLKSSZGET, &sector) != 0) return -1;
    *bytes = (uint32_t)sector;
    return 0;
}

int reimage_device_rotational(int fd) {
    unsigned short turns = 0;
    if (ioctl(fd, BLKROTATIONAL, &turns) != 0) return -1;
    return turns != 0;
}

int reimage_device_read_only(int fd) {
    int protected = 0;
    if (ioctl(fd, BLKROGET, &protected) != 0) return -1;
    return protected != 0;
}

int reimage_device_sequence(int fd, uint64_t *sequence) {
#ifdef BLKGETDISKSEQ
    return ioctl(fd, BLKGETDISKSEQ, sequence);
#else
    (void)fd, (void)sequence;
    errno = ENOTTY;
    return -1;
#endif
}

int reimage_device_discard(int fd, uint64_t offset, uint64_t count) {
    uint64_t range[2] = {offset, count};
    return ioctl(fd, BLKDISCARD, range);
}

int reimage_device_zero(int fd, uint64_t offset, uint64_t count) {
    uint64_t range[2] = {offset, count};
    return ioctl(fd, BLKZEROOUT, range);
}

int reimage_device_drop_cache(int fd) { return ioctl(fd, BLKFLSBUF, 0); }
int reimage_device_reread(int fd) { return ioctl(fd, BLKRRPART, 0); }

int reimage_sync(int fd) { return fsync(fd); }

#else

int reimage_processor_count(void) { return online_processors(); }

int reimage_direct_flag(void) { return 0; }
int reimage_bypass_cache(int fd) { return fcntl(fd, F_NOCACHE, 1); }

int reimage_punch_hole(int fd, off_t offset, off_t count) {
    struct fpunchhole hole = {0, 0, offset, count};
    return fcntl(fd, F_PUNCHHOLE, &hole);
}

int reimage_zero_range(int fd, off_t offset, off_t count) {
    (void)fd, (void)offset, (void)count;
    errno = ENOTSUP;
    return -1;
}

int reimage_reserve(int fd, off_t offset, off_t count) {
    (void)fd, (void)offset, (void)count;
    errno = ENOTSUP;
    return -1;
}

int reimage_share_blocks(int from, off_t start, off_t count, int to, off_t offset) {
    (void)from, (void)start, (void)count, (void)to, (void)offset;
    errno = ENOTSUP;
    return -1;
}

int reimage_queues_fresh_writes(int fd) {
    (void)fd;
    return 0;
}

ssize_t reimage_read_cached(int fd, void *bytes, size_t count, off_t offset) {
    (void)fd, (void)bytes, (void)count, (void)offset;
    errno = EOPNOTSUPP;
    return -1;
}

void reimage_start_writeback(int fd, off_t offset, off_t count) { (void)fd, (void)offset, (void)count; }

int reimage_drop_cache(int fd, off_t offset, off_t count) {
    (void)fd, (void)offset, (void)count;
    return 0;
}

int reimage_device_length(int fd, uint64_t *bytes) {
    uint32_t block = 0;
    uint64_t count = 0;
    if (ioctl(fd, DKIOCGETBLOCKSIZE, &block) != 0 || ioctl(fd, DKIOCGETBLOCKCOUNT, &count) != 0) return -1;
    *bytes = block * count;
    return 0;
}

int reimage_device_sector(int fd, uint32_t *bytes) { return ioctl(fd, DKIOCGETBLOCKSIZE, bytes); }

int reimage_device_rotational(int fd) {
    (void)fd;
    return 0;
}

int reimage_device_read_only(int fd) {
    uint32_t writable = 1;
    if (ioctl(fd, DKIOCISWRITABLE, &writable) != 0) return -1;
    return writable == 0;
}

/* macOS has no such number, discards without a promise, and reads partition tables anew by itself. */
static int unsupported(void) {
    errno = ENOTSUP;
    return -1;
}

int reimage_device_sequence(int fd, uint64_t *sequence) {
    (void)fd, (void)sequence;
    return unsupported();
}

int reimage_device_discard(int fd, uint64_t offset, uint64_t count) {
    (void)fd, (void)offset, (void)count;
    return unsupported();
}

int reimage_device_zero(int fd, uint64_t offset, uint64_t count) {
    (void)fd, (void)offset, (void)count;
    return unsupported();
}

int reimage_device_drop_cache(int fd) {
    (void)fd;
    return 0;
}

int reimage_device_reread(int fd) {
    (void)fd;
    return 0;
}

int reimage_sync(int fd) { return fcntl(fd, F_FULLFSYNC, 0); }

#endif
