/* The variable that tells of the offered sockets, and what a program binds: 28 bytes of an address, then the text. */
#include <stdlib.h>
#include <string.h>

#include "offers.h"

static void check(const struct offer *offer)
{
    if (offer->fd < 3 || memchr(offer->path, '\0', sizeof offer->path) == NULL)
        abort();
    if (offer->family == FAMILY_UNIX ? offer->path[0] != '/' || offer->port != 0 : offer->path[0] != '\0' || offer->port == 0)
        abort();
    if (offer->type != TYPE_STREAM && offer->type != TYPE_DGRAM && !(offer->type == TYPE_SEQPACKET && offer->family == FAMILY_UNIX))
        abort();
    if (offer->family != FAMILY_UNIX && offer->family != FAMILY_INET && offer->family != FAMILY_INET6)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct offer offers[8];
    struct address address = {0};
    if (size < 28)
        return 0;
    memcpy(&address, data, 28);
    char *text = malloc(size - 28 + 1);
    memcpy(text, data + 28, size - 28);
    text[size - 28] = '\0';
    size_t count = offers_read(text, offers, 8);
    if (count > 8)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct offer *offer = &offers[i];
        check(offer);
        if (offer->family == FAMILY_UNIX)
            continue;
        offer->address = address;
        offer->address.family = offer->family;
        for (unsigned length = 0; length <= 28; length += 4)
            for (unsigned family = FAMILY_INET; family <= FAMILY_INET6; family += FAMILY_INET6 - FAMILY_INET) {
                bool fits = offer_fits(offer, family, offer->type, size & 1, &address, length);
                if (fits && (address.port == 0 || length < 16 || offer_fits(offer, family, offer->type + 1, size & 1, &address, length)))
                    abort();
            }
    }
    free(text);
    return 0;
}
