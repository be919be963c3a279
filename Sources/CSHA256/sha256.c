#include "kernels.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <string.h>

/* Section 5.3.3. */
static const uint32_t begin[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

enum { length_size = 8, sha_bit = 1 << 29 };

static int has_sha_instructions(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & sha_bit) && __builtin_cpu_supports("sse4.1");
}

int reimage_sha256_has_lanes(size_t lanes)
{
    __builtin_cpu_init();
    switch (lanes) {
    /* This asks the system too, whether it keeps the wide registers. */
    case wide_lanes: return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    case paired_lanes: return has_sha_instructions();
    default: return 0;
    }
}

void reimage_sha256_hash_lanes(
    size_t lanes, uint8_t prefix, const void *const *messages, size_t count, uint8_t *hashes)
{
    reimage_sha256_blocks *const blocks =
        lanes == wide_lanes ? reimage_sha256_blocks_wide : reimage_sha256_blocks_paired;
    uint32_t state[8 * reimage_sha256_most_lanes];
    for (size_t i = 0; i < 8 * lanes; i++)
        state[i] = begin[i / lanes];
    /* The first block begins with the prefix; the last one or two hold the rest, a bit that is set, and the length. */
    uint8_t edges[reimage_sha256_most_lanes][2 * block_size];
    const uint8_t *from[reimage_sha256_most_lanes], *edge[reimage_sha256_most_lanes];
    size_t filled = 1, left = count;
    memset(edges, 0, sizeof edges);
    for (size_t lane = 0; lane < lanes; lane++) {
        from[lane] = messages[lane];
        edge[lane] = edges[lane];
        edges[lane][0] = prefix;
    }
    if (left >= block_size - 1) {
        for (size_t lane = 0; lane < lanes; lane++) {
            memcpy(edges[lane] + 1, from[lane], block_size - 1);
            from[lane] += block_size - 1;
        }
        blocks(state, edge, 1);
        left -= block_size - 1;
        blocks(state, from, left / block_size);
        for (size_t lane = 0; lane < lanes; lane++)
            from[lane] += left / block_size * block_size;
        left %= block_size;
        filled = 0;
        memset(edges, 0, sizeof edges);
    }
    const size_t end = filled + left;
    const size_t used = end + 1 + length_size <= block_size ? block_size : 2 * block_size;
    const uint64_t bits = __builtin_bswap64(((uint64_t)count + 1) * 8);
    for (size_t lane = 0; lane < lanes; lane++) {
        if (left > 0)
            memcpy(edges[lane] + filled, from[lane], left);
        edges[lane][end] = 0x80;
        memcpy(edges[lane] + used - length_size, &bits, length_size);
    }
    blocks(state, edge, used / block_size);
    for (size_t lane = 0; lane < lanes; lane++) {
        for (size_t i = 0; i < 8; i++) {
            const uint32_t word = __builtin_bswap32(state[i * lanes + lane]);
            memcpy(hashes + lane * 32 + i * 4, &word, 4);
        }
    }
}

#else

int reimage_sha256_has_lanes(size_t lanes)
{
    (void)lanes;
    return 0;
}

void reimage_sha256_hash_lanes(
    size_t lanes, uint8_t prefix, const void *const *messages, size_t count, uint8_t *hashes)
{
    (void)lanes, (void)prefix, (void)messages, (void)count, (void)hashes;
}

#endif
