#ifndef REIMAGE_SHA256_H
#define REIMAGE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* SHA-256 of several messages at once, for the steps of one message wait for each other, and those of several do not: of 16
 * with AVX-512, in about a quarter of the time that a processor's SHA instructions take for one after the other, or of 2 with
 * these instructions. */
enum { reimage_sha256_most_lanes = 16 };

/* Whether this processor and system can hash as many messages at once: 1 or 0, which it is for all but 16 and 2, and for every
 * other kind of processor than x86-64. */
int reimage_sha256_has_lanes(size_t lanes);

/* The hashes of messages of equal length, as many as lanes, which the processor must have: the byte prefix followed by
 * count bytes of each of messages. The hash of message i is written as 32 bytes from hashes + 32 * i on. */
void reimage_sha256_hash_lanes(
    size_t lanes, uint8_t prefix, const void *const *messages, size_t count, uint8_t *hashes);

#endif
