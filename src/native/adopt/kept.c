#include "kept.h"

#include "drain.h"
#include "next.h"
#include "same_file.h"
#include "text.h"

struct kept kept;

extern char **environ __attribute__((weak));

int socket_option(int fd, int level, int option)
{
    int value = 0;
    unsigned length = sizeof value;
    return CALL(SYS_getsockopt, fd, level, option, &value, &length) < 0 ? -1 : value;
}

uint64_t socket_cookie(int fd)
{
    uint64_t cookie = 0;
    unsigned length = sizeof cookie;
    return CALL(SYS_getsockopt, fd, LEVEL_SOCKET, OPTION_COOKIE, &cookie, &length) < 0 ? 0 : cookie;
}

/* The descriptor is what the variable says: it may have been closed, and the number used anew, by who started this program. */
static bool confirm(struct offer *offer)
{
    unsigned length = sizeof offer->address;
    if (CALL(SYS_getsockname, offer->fd, &offer->address, &length) < 0 || offer->address.family != offer->family)
        return false;
    if (socket_option(offer->fd, LEVEL_SOCKET, OPTION_TYPE) != offer->type)
        return false;
    if (offer->family != FAMILY_UNIX && !offer->stands_in && offer->address.port != (uint16_t)(offer->port << 8 | offer->port >> 8))
        return false;
    offer->ipv6_only = offer->family == FAMILY_INET6 && socket_option(offer->fd, LEVEL_IPV6, OPTION_IPV6_ONLY) > 0;
    offer->cookie = socket_cookie(offer->fd);
    return offer->cookie != 0;
}

static const char *variable(char **environment, const char *start)
{
    for (; *environment != NULL; environment++) {
        const char *value = text_after(*environment, start);
        if (value != NULL)
            return value;
    }
    return NULL;
}

static bool remember(char *to, size_t size, const char *text, size_t length)
{
    if (length + 1 > size)
        return false;
    bytes_copy(to, text, length);
    to[length] = '\0';
    return true;
}

/* This library's own path: the element of LD_PRELOAD with its file name. */
static void remember_library(const char *preload)
{
    static const char name[] = "/adopt.so";
    const size_t name_length = sizeof name - 1;
    while (preload != NULL && *preload != '\0') {
        size_t length = 0;
        while (preload[length] != '\0' && preload[length] != ':' && preload[length] != ' ')
            length++;
        if (length >= name_length && bytes_equal(preload + length - name_length, name, name_length) &&
            remember(kept.library, sizeof kept.library, preload, length))
            return;
        preload += preload[length] == '\0' ? length : length + 1;
    }
}

static void read_environment(char **environment)
{
    const char *text = variable(environment, "PINGORA_ENTRY_ADOPT=");
    if (text == NULL || *text == '\0')
        return;
    /* without it nothing is added to the environment of what this program executes */
    if (remember(kept.variable, sizeof kept.variable, text, text_length(text)))
        remember_library(variable(environment, "LD_PRELOAD="));
    kept.count = offers_read(text, kept.offers, MOST_OFFERS);
    kept.lowest = INT32_MAX;
    for (size_t i = 0; i < kept.count; i++) {
        struct offer *offer = &kept.offers[i];
        kept.has_paths |= offer->path[0] != '\0';
        if (!confirm(offer)) {
            offer->fd = -1;
            continue;
        }
        if (offer->fd < kept.lowest)
            kept.lowest = offer->fd;
        if (offer->fd > kept.highest)
            kept.highest = offer->fd;
    }
    const char *number = variable(environment, "PINGORA_ENTRY_ADOPT_DRAIN=");
    kept.drain_signal = SIGNAL_URGENT;
    if (number != NULL) {
        remember(kept.drain_variable, sizeof kept.drain_variable, number, text_length(number));
        int value = 0;
        while (*number >= '0' && *number <= '9' && value <= SIGNALS)
            value = value * 10 + (*number++ - '0');
        kept.drain_signal = *number == '\0' && value > 0 && value <= SIGNALS ? value : 0;
    }
    if (kept.count > 0)
        drain_arm();
}

void kept_begin(void)
{
    static bool begun;
    if (begun)
        return;
    next_begin();
    /* too early: libc has not been set up */
    if (&environ == NULL || environ == NULL)
        return;
    begun = true;
    read_environment(environ);
}

__attribute__((constructor)) static void loaded(void) { kept_begin(); }

struct offer *kept_at(int fd)
{
    if (fd < kept.lowest || fd > kept.highest)
        return NULL;
    for (size_t i = 0; i < kept.count; i++) {
        struct offer *offer = &kept.offers[i];
        if (offer->fd != fd)
            continue;
        uint64_t cookie = socket_cookie(fd);
        return cookie != 0 && (cookie == offer->cookie || cookie == offer->drained) ? offer : NULL;
    }
    return NULL;
}

struct offer *kept_socket(int fd)
{
    uint64_t cookie = kept.count == 0 ? 0 : socket_cookie(fd);
    if (cookie == 0)
        return NULL;
    for (size_t i = 0; i < kept.count; i++)
        if (kept.offers[i].cookie == cookie || kept.offers[i].drained == cookie)
            return &kept.offers[i];
    return NULL;
}

bool offer_has_path(const struct offer *offer, int directory, const char *path)
{
    char own[sizeof offer->address.path + 1] = "";
    if (offer->path[0] == '\0')
        return false;
    if (is_same_file(directory, path, offer->path))
        return true;
    if (offer->stands_in)
        bytes_copy(own, offer->address.path, sizeof offer->address.path);
    return own[0] != '\0' && is_same_file(directory, path, own);
}

void kept_survive(void)
{
    for (size_t i = 0; i < kept.count; i++)
        if (kept.offers[i].fd >= 0 && kept_at(kept.offers[i].fd) != NULL)
            CALL(SYS_fcntl, kept.offers[i].fd, DESCRIPTOR_SET, 0);
}
