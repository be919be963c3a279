#include "CSHA256.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

/* FIPS 180-4, section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* Section 5.3.3. */
static const uint32_t begin[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

enum { lanes = reimage_sha256_lanes, block_size = 64, length_size = 8 };

#define WIDE __attribute__((target("avx512f,avx512bw")))
#define INLINE __attribute__((always_inline)) static inline

WIDE INLINE __m512i xor3(__m512i a, __m512i b, __m512i c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }

/* Turns 16 rows of 16 words into its columns. */
WIDE INLINE void transpose(__m512i rows[16])
{
    __m512i pairs[16], fours[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {
        fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        __m512i even_low = _mm512_shuffle_i32x4(fours[i], fours[i + 4], 0x88);
        __m512i odd_low = _mm512_shuffle_i32x4(fours[i], fours[i + 4], 0xdd);
        __m512i even_high = _mm512_shuffle_i32x4(fours[i + 8], fours[i + 12], 0x88);
        __m512i odd_high = _mm512_shuffle_i32x4(fours[i + 8], fours[i + 12], 0xdd);
        rows[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
        rows[i + 8] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
        rows[i + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
        rows[i + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
    }
}

/* Section 6.2.2 on one block of each message. */
WIDE INLINE void block(__m512i state[8], const uint8_t *const from[lanes], size_t offset)
{
    const __m512i order = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    __m512i words[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        words[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(from[i] + offset), order);
    transpose(words);
    __m512i a = state[0], b = state[1], c = state[2], d = state[3];
    __m512i e = state[4], f = state[5], g = state[6], h = state[7];
#pragma GCC unroll 64
    for (int t = 0; t < 64; t++) {
        if (t >= 16) {
            const __m512i early = words[(t + 1) % 16], late = words[(t + 14) % 16];
            const __m512i small0 =
                xor3(_mm512_ror_epi32(early, 7), _mm512_ror_epi32(early, 18), _mm512_srli_epi32(early, 3));
            const __m512i small1 =
                xor3(_mm512_ror_epi32(late, 17), _mm512_ror_epi32(late, 19), _mm512_srli_epi32(late, 10));
            words[t % 16] = _mm512_add_epi32(
                _mm512_add_epi32(words[t % 16], small0), _mm512_add_epi32(words[(t + 9) % 16], small1));
        }
        const __m512i sum1 = xor3(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
        const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, 0xca);
        const __m512i first = _mm512_add_epi32(
            _mm512_add_epi32(h, _mm512_add_epi32(words[t % 16], _mm512_set1_epi32((int)constants[t]))),
            _mm512_add_epi32(sum1, choice));
        const __m512i sum0 = xor3(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
        const __m512i majority = _mm512_ternarylogic_epi32(a, b, c, 0xe8);
        h = g;
        g = f;
        f = e;
        e = _mm512_add_epi32(d, first);
        d = c;
        c = b;
        b = a;
        a = _mm512_add_epi32(first, _mm512_add_epi32(sum0, majority));
    }
    state[0] = _mm512_add_epi32(state[0], a);
    state[1] = _mm512_add_epi32(state[1], b);
    state[2] = _mm512_add_epi32(state[2], c);
    state[3] = _mm512_add_epi32(state[3], d);
    state[4] = _mm512_add_epi32(state[4], e);
    state[5] = _mm512_add_epi32(state[5], f);
    state[6] = _mm512_add_epi32(state[6], g);
    state[7] = _mm512_add_epi32(state[7], h);
}

WIDE static void blocks(__m512i state[8], const uint8_t *const from[lanes], size_t count)
{
    for (size_t done = 0; done < count; done++)
        block(state, from, done * block_size);
}

int reimage_sha256_has_lanes(void)
{
    __builtin_cpu_init();
    /* This asks the system too, whether it keeps the wide registers. */
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

WIDE void reimage_sha256_hash_lanes(
    uint8_t prefix, const void *const *messages, size_t count, uint8_t *hashes)
{
    __m512i state[8];
    for (int i = 0; i < 8; i++)
        state[i] = _mm512_set1_epi32((int)begin[i]);
    /* The first block begins with the prefix; the last one or two hold the rest, a bit that is set, and the length. */
    uint8_t edges[lanes][2 * block_size];
    const uint8_t *from[lanes], *edge[lanes];
    size_t filled = 1, left = count;
    memset(edges, 0, sizeof edges);
    for (int lane = 0; lane < lanes; lane++) {
        from[lane] = messages[lane];
        edge[lane] = edges[lane];
        edges[lane][0] = prefix;
    }
    if (left >= block_size - 1) {
        for (int lane = 0; lane < lanes; lane++) {
            memcpy(edges[lane] + 1, from[lane], block_size - 1);
            from[lane] += block_size - 1;
        }
        blocks(state, edge, 1);
        left -= block_size - 1;
        blocks(state, from, left / block_size);
        for (int lane = 0; lane < lanes; lane++)
            from[lane] += left / block_size * block_size;
        left %= block_size;
        filled = 0;
        memset(edges, 0, sizeof edges);
    }
    const size_t end = filled + left;
    const size_t used = end + 1 + length_size <= block_size ? block_size : 2 * block_size;
    const uint64_t bits = __builtin_bswap64(((uint64_t)count + 1) * 8);
    for (int lane = 0; lane < lanes; lane++) {
        if (left > 0)
            memcpy(edges[lane] + filled, from[lane], left);
        edges[lane][end] = 0x80;
        memcpy(edges[lane] + used - length_size, &bits, length_size);
    }
    blocks(state, edge, used / block_size);
    uint32_t words[8][lanes];
    for (int i = 0; i < 8; i++)
        _mm512_storeu_si512(words[i], state[i]);
    for (int lane = 0; lane < lanes; lane++) {
        for (int i = 0; i < 8; i++) {
            const uint32_t word = __builtin_bswap32(words[i][lane]);
            memcpy(hashes + lane * 32 + i * 4, &word, 4);
        }
    }
}

#else

int reimage_sha256_has_lanes(void) { return 0; }

void reimage_sha256_hash_lanes(
    uint8_t prefix, const void *const *messages, size_t count, uint8_t *hashes)
{
    (void)prefix, (void)messages, (void)count, (void)hashes;
}

#endif
