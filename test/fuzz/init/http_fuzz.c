/* The HTTP response parser: whatever the bytes and the pieces, no more body than bytes, and the same result as in one piece. */
#include <stdlib.h>
#include <string.h>

#include "http.h"

struct sum {
    size_t length;
    uint32_t hash;
};

static void count(const char *bytes, size_t length, void *context)
{
    struct sum *sum = context;
    sum->length += length;
    for (size_t i = 0; i < length; i++)
        sum->hash = sum->hash * 31 + (unsigned char)bytes[i];
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct http whole, pieces;
    struct sum whole_sum = {0, 0}, pieces_sum = {0, 0};
    if (size == 0)
        return 0;
    size_t step = data[0] % 17 + 1;
    /* copies of their exact size, so that a read beyond is seen */
    size_t length = size - 1;
    char *bytes = malloc(length + 1);
    memcpy(bytes, data + 1, length);
    http_begin(&whole, count, &whole_sum);
    http_feed(&whole, bytes, length);
    bool complete = http_end(&whole);
    http_begin(&pieces, count, &pieces_sum);
    for (size_t at = 0; at < length; at += step) {
        size_t part = length - at < step ? length - at : step;
        char *piece = malloc(part);
        memcpy(piece, bytes + at, part);
        http_feed(&pieces, piece, part);
        free(piece);
    }
    if (http_end(&pieces) != complete || pieces.status != whole.status || whole_sum.length > length)
        abort();
    if (complete && (pieces_sum.length != whole_sum.length || pieces_sum.hash != whole_sum.hash))
        abort();
    free(bytes);
    return 0;
}
