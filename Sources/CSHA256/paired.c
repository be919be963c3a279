#include "kernels.h"

#ifdef __x86_64__

#include <immintrin.h>

#define PAIRED __attribute__((target("sha,sse4.1,ssse3")))

/* A round of one message waits for the round before it, while the processor could begin another one: with two messages in
 * turns it does. The instructions keep the state as the words ABEF and CDGH, and take two rounds each. */
PAIRED void reimage_sha256_blocks_paired(uint32_t *state, const uint8_t *const *from, size_t count)
{
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef[paired_lanes], cdgh[paired_lanes];
    for (int lane = 0; lane < paired_lanes; lane++) {
        const uint32_t *word = state + lane;
        abef[lane] = _mm_set_epi32((int)word[0], (int)word[2], (int)word[8], (int)word[10]);
        cdgh[lane] = _mm_set_epi32((int)word[4], (int)word[6], (int)word[12], (int)word[14]);
    }
    for (size_t done = 0; done < count; done++) {
        __m128i first[paired_lanes], second[paired_lanes], words[4][paired_lanes];
#pragma GCC unroll 2
        for (int lane = 0; lane < paired_lanes; lane++) {
            first[lane] = abef[lane];
            second[lane] = cdgh[lane];
        }
#pragma GCC unroll 16
        for (int four = 0; four < 16; four++) {
            const __m128i constant = _mm_loadu_si128((const __m128i *)(constants + four * 4));
#pragma GCC unroll 2
            for (int lane = 0; lane < paired_lanes; lane++) {
                __m128i *const now = &words[four % 4][lane];
                const __m128i before = words[(four + 3) % 4][lane];
                if (four < 4) {
                    const uint8_t *bytes = from[lane] + done * block_size + four * 16;
                    *now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)bytes), order);
                } else {
                    const __m128i middle = _mm_alignr_epi8(before, words[(four + 2) % 4][lane], 4);
                    const __m128i early = _mm_sha256msg1_epu32(*now, words[(four + 1) % 4][lane]);
                    *now = _mm_sha256msg2_epu32(_mm_add_epi32(early, middle), before);
                }
                const __m128i added = _mm_add_epi32(*now, constant);
                cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], added);
                abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(added, 0x0e));
            }
        }
#pragma GCC unroll 2
        for (int lane = 0; lane < paired_lanes; lane++) {
            abef[lane] = _mm_add_epi32(abef[lane], first[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], second[lane]);
        }
    }
    for (int lane = 0; lane < paired_lanes; lane++) {
        uint32_t *word = state + lane;
        word[0] = (uint32_t)_mm_extract_epi32(abef[lane], 3);
        word[2] = (uint32_t)_mm_extract_epi32(abef[lane], 2);
        word[4] = (uint32_t)_mm_extract_epi32(cdgh[lane], 3);
        word[6] = (uint32_t)_mm_extract_epi32(cdgh[lane], 2);
        word[8] = (uint32_t)_mm_extract_epi32(abef[lane], 1);
        word[10] = (uint32_t)_mm_extract_epi32(abef[lane], 0);
        word[12] = (uint32_t)_mm_extract_epi32(cdgh[lane], 1);
        word[14] = (uint32_t)_mm_extract_epi32(cdgh[lane], 0);
    }
}

#endif
