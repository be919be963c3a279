#ifndef REIMAGE_SYSTEM_H
#define REIMAGE_SYSTEM_H

#include <stdint.h>
#include <sys/types.h>

/* System calls and constants that Swift does not import: variadic calls, macros with casts, and what glibc hides
 * behind _GNU_SOURCE. Every function returns 0 or a value of at least 0, or -1 with errno set. */

/* The open flag for reads and writes past the page cache; 0 where the system has none. */
int reimage_direct_flag(void);

/* Turns the page cache off for a descriptor, where that is done after opening (macOS); else does nothing. */
int reimage_bypass_cache(int fd);

/* The next data or hole at or behind offset; -1 with ENXIO where there is none. */
off_t reimage_seek_data(int fd, off_t offset);
off_t reimage_seek_hole(int fd, off_t offset);

/* Gives a range back so that it reads as zeros; the file keeps its length. */
int reimage_punch_hole(int fd, off_t offset, off_t count);

/* Makes a range read as zeros and keeps its space. */
int reimage_zero_range(int fd, off_t offset, off_t count);

/* Reserves the space of a range, which keeps its contents. */
int reimage_reserve(int fd, off_t offset, off_t count);

/* Makes a range of one file share the blocks of a range of another, whole blocks of one file system. */
int reimage_share_blocks(int from, off_t start, off_t count, int to, off_t offset);

/* 1 where the file system lets one direct write at a time into space that is not allocated, but many into allocated
 * space (ext4); else 0. */
int reimage_queues_fresh_writes(int fd);

/* Reads what the page cache holds of a range from its start, without waiting for the medium; -1 with EAGAIN where that
 * is nothing, with EOPNOTSUPP where the file cannot be read so. */
ssize_t reimage_read_cached(int fd, void *bytes, size_t count, off_t offset);

/* The bytes that the file system of an open file has free for this process. */
int reimage_free_space(int fd, uint64_t *bytes);

/* Lets the kernel begin to write a range of the page cache to the medium, and waits for none of it; a hint. */
void reimage_start_writeback(int fd, off_t offset, off_t count);

/* Asks the kernel to drop a range from the page cache; a hint. */
int reimage_drop_cache(int fd, off_t offset, off_t count);

/* Locks a file against other lockers, or fails with EWOULDBLOCK. */
int reimage_lock(int fd);

/* Block devices: length in bytes, logical sector in bytes, whether the medium turns. */
int reimage_device_length(int fd, uint64_t *bytes);
int reimage_device_sector(int fd, uint32_t *bytes);
int reimage_device_rotational(int fd);

/* Whether a block device is write-protected: 1 or 0. */
int reimage_device_read_only(int fd);

/* The number that the kernel gives to each medium once; -1 where the kernel has none. */
int reimage_device_sequence(int fd, uint64_t *sequence);

/* Discards a range of a block device; what it reads as afterwards is the driver's affair. */
int reimage_device_discard(int fd, uint64_t offset, uint64_t count);

/* Makes a range of a block device read as zeros, by the device's own means or by writing them. */
int reimage_device_zero(int fd, uint64_t offset, uint64_t count);

/* Writes the page cache of a block device back and drops it. */
int reimage_device_drop_cache(int fd);

/* Lets the kernel read the partition table anew. */
int reimage_device_reread(int fd);

/* The two halves of a device number as stat gives it. */
uint32_t reimage_major(uint64_t device);
uint32_t reimage_minor(uint64_t device);

/* The processors this process may run on, at least 1. */
int reimage_processor_count(void);

/* Makes everything written durable, the drive's own cache included. */
int reimage_sync(int fd);

#endif
