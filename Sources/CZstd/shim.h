// For ZSTD_getCParams: archives name their zstd parameters by what it gives.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>
