#include "CIGZip.h"

#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <stdlib.h>

struct reimage_igzip {
    struct isal_zstream stream;
    uint32_t level;
    uint32_t scratch_size;
    uint8_t *scratch;
};

static const uint32_t scratch_sizes[] = {
    ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT,
};

struct reimage_igzip *reimage_igzip_make(int level)
{
    if (level < 1 || level > 3)
        return NULL;
    /* Zeros, since ISA-L's own initialisation leaves out fields that it reads, and the window's size is one of them. */
    struct reimage_igzip *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return NULL;
    encoder->level = (uint32_t)level;
    encoder->scratch_size = scratch_sizes[level];
    encoder->scratch = calloc(1, encoder->scratch_size);
    if (!encoder->scratch) {
        free(encoder);
        return NULL;
    }
    return encoder;
}

void reimage_igzip_free(struct reimage_igzip *encoder)
{
    if (!encoder)
        return;
    free(encoder->scratch);
    free(encoder);
}

size_t reimage_igzip_encode(struct reimage_igzip *encoder, const void *input, size_t count, void *output, size_t room)
{
    if (count > UINT32_MAX || room == 0)
        return 0;
    struct isal_zstream *stream = &encoder->stream;
    isal_deflate_stateless_init(stream);
    stream->level = encoder->level;
    stream->level_buf = encoder->scratch;
    stream->level_buf_size = encoder->scratch_size;
    stream->hist_bits = 0;
    stream->flush = NO_FLUSH;
    stream->end_of_stream = 1;
    stream->gzip_flag = IGZIP_DEFLATE;
    stream->next_in = (uint8_t *)input;
    stream->avail_in = (uint32_t)count;
    stream->next_out = output;
    stream->avail_out = room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
    if (isal_deflate_stateless(stream) != COMP_OK || stream->avail_in != 0)
        return 0;
    return stream->total_out;
}
