#include "offers.h"

#include "text.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t zero[16];

/* The part up to `end`, which is passed over; false when there is none, or when it is longer than any word here. */
static bool take_word(const char **at, const char *stop, char end, char *word, size_t size)
{
    size_t length = 0;
    while (*at < stop && **at != end) {
        if (length + 1 == size)
            return false;
        word[length++] = *(*at)++;
    }
    if (*at == stop)
        return false;
    (*at)++;
    word[length] = '\0';
    return length > 0;
}

static bool read_number(const char *text, size_t length, uint32_t most, uint32_t *number)
{
    uint32_t value = 0;
    if (length == 0 || length > 10)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_path(const char *at, const char *stop, char *path, size_t size)
{
    size_t length = 0;
    while (at < stop) {
        char c = *at++;
        if (c == '%') {
            if (stop - at < 2)
                return false;
            int high = hex_digit(at[0]), low = hex_digit(at[1]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            at += 2;
        }
        if (c == '\0' || length + 1 == size)
            return false;
        path[length++] = c;
    }
    path[length] = '\0';
    return path[0] == '/';
}

static bool read_port(const char *at, const char *stop, uint16_t *port)
{
    const char *digits = stop;
    uint32_t number;
    while (digits > at && digits[-1] != ':')
        digits--;
    if (digits == at || !read_number(digits, (size_t)(stop - digits), 65535, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* The host of the address that is stood in for, "7f000001": as on the wire. */
static bool read_digits(const char *at, const char *stop, struct offer *offer)
{
    size_t length = offer->family == FAMILY_INET ? 4 : 16;
    uint8_t *bytes = offer->family == FAMILY_INET ? offer->instead.v4 : offer->instead.v6;
    if ((size_t)(stop - at) <= 2 * length || at[2 * length] != ':')
        return false;
    for (size_t i = 0; i < length; i++) {
        int high = hex_digit(at[2 * i]), low = hex_digit(at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_offer(const char *at, const char *stop, struct offer *offer)
{
    char fd[11], family[8], type[12];
    uint32_t number;
    if (!take_word(&at, stop, ':', fd, sizeof fd) || !read_number(fd, text_length(fd), INT32_MAX, &number) || number < 3)
        return false;
    if (!take_word(&at, stop, ':', family, sizeof family) || !take_word(&at, stop, ':', type, sizeof type))
        return false;
    *offer = (struct offer){.fd = (int)number};
    offer->family = text_equal(family, "inet") ? FAMILY_INET : text_equal(family, "inet6") ? FAMILY_INET6 : FAMILY_UNIX;
    if (offer->family == FAMILY_UNIX && !text_equal(family, "unix"))
        return false;
    offer->type = text_equal(type, "stream") ? TYPE_STREAM : text_equal(type, "dgram") ? TYPE_DGRAM : TYPE_SEQPACKET;
    if (offer->type == TYPE_SEQPACKET && (offer->family != FAMILY_UNIX || !text_equal(type, "seqpacket")))
        return false;
    offer->stands_in = at < stop && *at == '=';
    if (offer->stands_in)
        at++;
    if (offer->family == FAMILY_UNIX)
        return read_path(at, stop, offer->path, sizeof offer->path);
    if (!read_port(at, stop, &offer->port) || (offer->stands_in && !read_digits(at, stop, offer)))
        return false;
    offer->instead.family = offer->family;
    offer->instead.port = (uint16_t)(offer->port << 8 | offer->port >> 8);
    return true;
}

size_t offers_read(const char *text, struct offer *offers, size_t most)
{
    size_t count = 0;
    while (*text != '\0' && count < most) {
        const char *stop = text;
        while (*stop != '\0' && *stop != ';')
            stop++;
        if (read_offer(text, stop, &offers[count]))
            count++;
        text = *stop == ';' ? stop + 1 : stop;
    }
    return count;
}

/* Both families in one form: 16 bytes, IPv4 mapped. */
static bool wide(const struct address *address, size_t length, uint8_t bytes[16])
{
    if (address->family == FAMILY_INET && length >= 16) {
        bytes_copy(bytes, mapped, 12);
        bytes_copy(bytes + 12, address->v4, 4);
        return true;
    }
    if (address->family != FAMILY_INET6 || length < 24)
        return false;
    bytes_copy(bytes, address->v6, 16);
    return true;
}

static bool is_any6(const uint8_t bytes[16]) { return bytes_equal(bytes, zero, 16); }
static bool is_any4(const uint8_t bytes[16]) { return bytes_equal(bytes, mapped, 12) && bytes_equal(bytes + 12, zero, 4); }

static bool is_meant(const struct offer *offer, const struct address *own, unsigned family, bool ipv6_only, const struct address *wanted, size_t length)
{
    uint8_t asked[16], given[16];
    if (length < 4 || !wide(wanted, length, asked) || !wide(own, sizeof *own, given))
        return false;
    if (wanted->port == 0 || wanted->port != own->port)
        return false;
    if (bytes_equal(asked, given, 16)) {
        bool scoped = family == FAMILY_INET6 && length >= 28 && offer->family == FAMILY_INET6;
        return !scoped || bytes_equal(wanted->scope, zero, 4) || bytes_equal(own->scope, zero, 4) || bytes_equal(wanted->scope, own->scope, 4);
    }
    /* every IPv4 address is part of a dual stack's; every address includes every IPv4 one, as far as the program takes those */
    if (is_any4(asked) && is_any6(given))
        return !offer->ipv6_only;
    return is_any6(asked) && is_any4(given) && !ipv6_only;
}

bool offer_fits(const struct offer *offer, unsigned family, unsigned type, bool ipv6_only, const struct address *wanted, size_t length)
{
    if (type != offer->type || offer->family == FAMILY_UNIX || (family != FAMILY_INET && family != FAMILY_INET6))
        return false;
    return is_meant(offer, &offer->address, family, ipv6_only, wanted, length) ||
           (offer->stands_in && is_meant(offer, &offer->instead, family, ipv6_only, wanted, length));
}
