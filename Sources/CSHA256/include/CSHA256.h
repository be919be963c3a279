#ifndef REIMAGE_SHA256_H
#define REIMAGE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* SHA-256 of 16 messages at once, each in a lane of 32 bits of wide vectors (AVX-512). The steps of one message wait for
 * each other; those of 16 do not, and take a quarter of the time that a processor's SHA instructions take for them. */
enum { reimage_sha256_lanes = 16 };

/* Whether this processor and system have the instructions; 0 on every other kind of processor than x86-64. */
int reimage_sha256_has_lanes(void);

/* The hashes of 16 messages of equal length: the byte prefix followed by count bytes of each of messages. The hash of
 * message i is written as 32 bytes from hashes + 32 * i on. Only where reimage_sha256_has_lanes() gives 1. */
void reimage_sha256_hash_lanes(
    uint8_t prefix, const void *const *messages, size_t count, uint8_t *hashes);

#endif
