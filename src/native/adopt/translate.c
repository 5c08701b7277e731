#include "translate.h"

#include "text.h"

unsigned translate(struct address *address, unsigned length, unsigned family)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t any[16];
    struct address other = {.family = (uint16_t)family, .port = address->port};
    if (address->family == FAMILY_INET && family == FAMILY_INET6) {
        bytes_copy(other.v6, mapped, 12);
        bytes_copy(other.v6 + 12, address->v4, 4);
        length = 28;
    } else if (address->family == FAMILY_INET6 && family == FAMILY_INET && (bytes_equal(address->v6, mapped, 12) || bytes_equal(address->v6, any, 16))) {
        bytes_copy(other.v4, address->v6 + 12, 4);
        length = 16;
    } else {
        return length;
    }
    bytes_copy(address, &other, 28);
    return length;
}

struct offer *translated(int fd)
{
    struct offer *offer = kept.has_translated ? kept_socket(fd) : NULL;
    return offer != NULL && offer->bound && offer->wanted_family != offer->family ? offer : NULL;
}

void translate_to(const struct address *from, unsigned length, unsigned family, void *to, unsigned *size)
{
    struct address address = *from;
    length = translate(&address, length, family);
    bytes_copy(to, &address, length < *size ? length : *size);
    *size = length;
}
