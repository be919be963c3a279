#include "kernels.h"

#ifdef __x86_64__

#include <immintrin.h>

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
WIDE INLINE void block(__m512i state[8], const uint8_t *const *from, size_t offset)
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

WIDE void reimage_sha256_blocks_wide(uint32_t *words, const uint8_t *const *from, size_t count)
{
    __m512i state[8];
    for (int i = 0; i < 8; i++)
        state[i] = _mm512_loadu_si512(words + i * wide_lanes);
    for (size_t done = 0; done < count; done++)
        block(state, from, done * block_size);
    for (int i = 0; i < 8; i++)
        _mm512_storeu_si512(words + i * wide_lanes, state[i]);
}

#endif
