/* What the kernel says of an epoll set, in pieces: the same result as in one. First byte: the wanted descriptor; second: the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "fdinfo.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct fdinfo whole, pieces;
    if (size < 2)
        return 0;
    size_t step = data[1] % 17 + 1, length = size - 2;
    char *bytes = malloc(length + 1);
    memcpy(bytes, data + 2, length);
    fdinfo_begin(&whole, data[0]);
    fdinfo_feed(&whole, bytes, length);
    fdinfo_begin(&pieces, data[0]);
    for (size_t at = 0; at < length; at += step) {
        size_t part = length - at < step ? length - at : step;
        char *piece = malloc(part);
        memcpy(piece, bytes + at, part);
        fdinfo_feed(&pieces, piece, part);
        free(piece);
    }
    if (whole.found != pieces.found || whole.events != pieces.events || whole.data != pieces.data)
        abort();
    free(bytes);
    return 0;
}
