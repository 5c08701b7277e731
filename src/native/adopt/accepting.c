/* accept(), getsockname() and getpeername(). */
#include "drain.h"
#include "next.h"
#include "translate.h"
#include "waiting.h"

static int accept_once(int fd, void *address, unsigned *length, int flags, bool plain)
{
    if (plain)
        return next.accept == NULL ? (int)answer(CALL(SYS_accept, fd, address, length)) : next.accept(fd, address, length);
    return next.accept4 == NULL ? (int)answer(CALL(SYS_accept4, fd, address, length, flags)) : next.accept4(fd, address, length, flags);
}

static int accept_any(int fd, void *address, unsigned *length, int flags, bool plain)
{
    struct offer *offer = address == NULL || length == NULL ? NULL : translated(fd);
    struct address whole = {0};
    unsigned whole_length = sizeof whole;
    int result;
    do {
        drain_wait_begins();
        result = offer == NULL ? accept_once(fd, address, length, flags, plain) : accept_once(fd, &whole, &whole_length, flags, plain);
    } while (result < 0 && waited(fd));
    if (result >= 0 && offer != NULL)
        translate_to(&whole, whole_length, offer->wanted_family, address, length);
    return result;
}

EXPORT int accept(int fd, void *address, unsigned *length) { return accept_any(fd, address, length, 0, true); }

EXPORT int accept4(int fd, void *address, unsigned *length, int flags) { return accept_any(fd, address, length, flags, false); }

/* The offer that a listener is, or that a connection came by, which has its port. */
static struct offer *translated_by_port(int fd)
{
    struct address own;
    unsigned length = sizeof own;
    if (!kept.has_translated || CALL(SYS_getsockname, fd, &own, &length) < 0 || (own.family != FAMILY_INET && own.family != FAMILY_INET6))
        return NULL;
    int type = socket_option(fd, LEVEL_SOCKET, OPTION_TYPE);
    for (size_t i = 0; i < kept.count; i++) {
        struct offer *offer = &kept.offers[i];
        if (offer->bound && offer->type == type && offer->wanted_family != own.family && offer->family == own.family && offer->address.port == own.port)
            return offer;
    }
    return NULL;
}

static bool give_name(long call, int fd, void *address, unsigned *length)
{
    struct offer *offer = address == NULL || length == NULL ? NULL : translated_by_port(fd);
    struct address whole = {0};
    unsigned whole_length = sizeof whole;
    if (offer == NULL || CALL(call, fd, &whole, &whole_length) < 0)
        return false;
    translate_to(&whole, whole_length, offer->wanted_family, address, length);
    return true;
}

EXPORT int getsockname(int fd, void *address, unsigned *length)
{
    if (give_name(SYS_getsockname, fd, address, length))
        return 0;
    return next.getsockname == NULL ? (int)answer(CALL(SYS_getsockname, fd, address, length)) : next.getsockname(fd, address, length);
}

EXPORT int getpeername(int fd, void *address, unsigned *length)
{
    if (give_name(SYS_getpeername, fd, address, length))
        return 0;
    return next.getpeername == NULL ? (int)answer(CALL(SYS_getpeername, fd, address, length)) : next.getpeername(fd, address, length);
}
