// copy-loop: the limit that a copy is measured against. It copies the data extents of a file to the same offsets of a
// new one, by threads that do nothing but read and write, and brings the result to the medium.
//
//   copy-loop [-t threads] [-s request size in KiB] [-r direct|cached] [-w direct|cached] [-a none|size|runs|early] [-f] [-h]
//             SOURCE TARGET
//     -a none   the file grows by its writes
//     -a size   its length is set first (the default)
//     -a runs   and the space of every data extent is allocated before the first write
//     -a early  no space is allocated, but written pages are sent to the medium at once (for -w cached)
//     -h        buffers in huge pages
//     -f        leaves the final fsync away
//
// The target is removed first. Prints one line: seconds, bytes, GiB/s.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ALIGNMENT 4096
#define HUGE_PAGE (2 << 20)

static int source, target, target_tail;
static off_t source_size;
static size_t request = 2 << 20;
static int sends_early, uses_huge_pages;

// The extents are handed out piece by piece, in ascending order.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static off_t extent_position, extent_end;
static uint64_t copied;

static void stop(const char *what)
{
    fprintf(stderr, "copy-loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int next(off_t *offset, size_t *count)
{
    pthread_mutex_lock(&lock);
    if (extent_position == extent_end) {
        extent_position = lseek(source, extent_end, SEEK_DATA);
        if (extent_position < 0) {
            if (errno != ENXIO)
                stop("SEEK_DATA");
            extent_position = extent_end = source_size;
        } else {
            extent_end = lseek(source, extent_position, SEEK_HOLE);
        }
    }
    // Pieces end on multiples of the request, as those of a copy that works in units do.
    off_t end = (extent_position / (off_t)request + 1) * (off_t)request;
    if (end > extent_end)
        end = extent_end;
    *offset = extent_position;
    *count = (size_t)(end - extent_position);
    extent_position = end;
    copied += *count;
    pthread_mutex_unlock(&lock);
    return *count > 0;
}

static void *work(void *reader)
{
    void *buffer;
    if (posix_memalign(&buffer, uses_huge_pages ? HUGE_PAGE : ALIGNMENT, request) != 0)
        stop("memory");
    if (uses_huge_pages)
        madvise(buffer, request, MADV_HUGEPAGE);
    memset(buffer, 0, request);
    off_t offset;
    size_t count;
    while (next(&offset, &count)) {
        // The end of the file need not be a whole block: it is read as one, and its rest written through the cache.
        size_t padded = (count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        for (size_t done = 0; done < count;) {
            ssize_t got = pread(*(int *)reader, (char *)buffer + done, padded - done, offset + (off_t)done);
            if (got <= 0)
                stop("read");
            done += (size_t)got;
        }
        size_t whole = count / ALIGNMENT * ALIGNMENT;
        for (size_t done = 0; done < count;) {
            int file = done < whole ? target : target_tail;
            size_t part = (done < whole ? whole : count) - done;
            ssize_t put = pwrite(file, (char *)buffer + done, part, offset + (off_t)done);
            if (put <= 0)
                stop("write");
            done += (size_t)put;
        }
        if (sends_early)
            sync_file_range(target, offset, (off_t)count, SYNC_FILE_RANGE_WRITE);
    }
    free(buffer);
    return NULL;
}

static void allocate_runs(void)
{
    for (off_t start = 0, end = 0; (start = lseek(source, end, SEEK_DATA)) >= 0;) {
        end = lseek(source, start, SEEK_HOLE);
        if (fallocate(target, FALLOC_FL_KEEP_SIZE, start, end - start) != 0)
            stop("fallocate");
    }
}

int main(int count, char **words)
{
    int threads = 8, reads_direct = 1, writes_direct = 1, syncs = 1, option;
    const char *space = "size";
    while ((option = getopt(count, words, "t:s:r:w:a:fh")) != -1) {
        switch (option) {
        case 't': threads = atoi(optarg); break;
        case 's': request = (size_t)atol(optarg) << 10; break;
        case 'r': reads_direct = strcmp(optarg, "direct") == 0; break;
        case 'w': writes_direct = strcmp(optarg, "direct") == 0; break;
        case 'a': space = optarg; break;
        case 'h': uses_huge_pages = 1; break;
        case 'f': syncs = 0; break;
        default: return 64;
        }
    }
    if (count - optind != 2 || threads < 1 || threads > 256 || request < ALIGNMENT || request % ALIGNMENT != 0) {
        fprintf(stderr, "copy-loop: two files are needed, and requests of whole 4 KiB; see the source\n");
        return 64;
    }
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    source = open(words[optind], O_RDONLY | (reads_direct ? O_DIRECT : 0));
    if (source < 0)
        stop(words[optind]);
    struct stat status;
    if (fstat(source, &status) != 0)
        stop(words[optind]);
    source_size = status.st_size;
    const char *name = words[optind + 1];
    if (unlink(name) != 0 && errno != ENOENT)
        stop(name);
    target = open(name, O_WRONLY | O_CREAT | O_EXCL | (writes_direct ? O_DIRECT : 0), 0666);
    target_tail = open(name, O_WRONLY);
    if (target < 0 || target_tail < 0)
        stop(name);
    sends_early = strcmp(space, "early") == 0;
    if (strcmp(space, "none") != 0 && ftruncate(target, source_size) != 0)
        stop("ftruncate");
    if (strcmp(space, "runs") == 0)
        allocate_runs();
    pthread_t ids[256];
    for (int id = 0; id < threads; id++)
        if ((errno = pthread_create(&ids[id], NULL, work, &source)) != 0)
            stop("thread");
    for (int id = 0; id < threads; id++)
        pthread_join(ids[id], NULL);
    if (ftruncate(target, source_size) != 0)
        stop("ftruncate");
    if (syncs && fsync(target) != 0)
        stop("fsync");
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double seconds = (double)(ended.tv_sec - begun.tv_sec) + 1e-9 * (double)(ended.tv_nsec - begun.tv_nsec);
    printf("%.3f s, %llu bytes, %.2f GiB/s\n", seconds, (unsigned long long)copied, (double)copied / seconds / (1 << 30));
    return 0;
}
