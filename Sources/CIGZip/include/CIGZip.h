#ifndef REIMAGE_IGZIP_H
#define REIMAGE_IGZIP_H

#include <stddef.h>

/* Fast raw deflate by ISA-L (igzip). Its stream structure holds arrays that Swift's importer does not take, so it
 * stays behind these three calls. */

struct reimage_igzip;

/* An encoder of level 1 to 3; NULL without memory or for another level. */
struct reimage_igzip *reimage_igzip_make(int level);

void reimage_igzip_free(struct reimage_igzip *encoder);

/* Encodes a buffer as one raw deflate stream with its final block; at most UINT32_MAX bytes each way. The result may
 * differ with the kind of processor, since ISA-L searches as its vector instructions allow; and ISA-L 2.30 without AVX-512
 * was seen to make one of some ten thousand clusters a byte longer or shorter in one encoder than in another. Returns its
 * length, or 0 where it does not fit. */
size_t reimage_igzip_encode(struct reimage_igzip *encoder, const void *input, size_t count, void *output, size_t room);

#endif
