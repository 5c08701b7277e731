/* bind(), listen() and shutdown(): where a program takes up what it was offered, and where it would end it. */
#include "drain.h"
#include "kept.h"
#include "next.h"
#include "text.h"

static struct offer *offer_for(int fd, const struct address *wanted, size_t length)
{
    int family = socket_option(fd, LEVEL_SOCKET, OPTION_DOMAIN), type = socket_option(fd, LEVEL_SOCKET, OPTION_TYPE);
    if (family < 0 || wanted == NULL || length < sizeof wanted->family || length > sizeof *wanted)
        return NULL;
    bool only = family == FAMILY_INET6 && socket_option(fd, LEVEL_IPV6, OPTION_IPV6_ONLY) > 0;
    char path[sizeof wanted->path + 1] = "";
    if (family == FAMILY_UNIX && wanted->family == FAMILY_UNIX) {
        bytes_copy(path, wanted->path, length - sizeof wanted->family);
        path[length - sizeof wanted->family] = '\0';
    }
    for (size_t i = 0; i < kept.count; i++) {
        struct offer *offer = &kept.offers[i];
        if (offer->fd < 0)
            continue;
        bool fits = family == FAMILY_UNIX
                        ? offer->family == FAMILY_UNIX && offer->type == type && path[0] != '\0' && offer_has_path(offer, AT_HERE, path)
                        : offer_fits(offer, (unsigned)family, (unsigned)type, only, wanted, length);
        if (fits && kept_at(offer->fd) != NULL)
            return offer;
    }
    return NULL;
}

/* What a program has asked of its socket before bind(), and what connections or datagrams get from it. */
static void copy_options(int from, int to)
{
    static const struct { int level, option; } copied[] = {
        {LEVEL_SOCKET, OPTION_KEEPALIVE}, {LEVEL_SOCKET, OPTION_BROADCAST}, {LEVEL_SOCKET, OPTION_PASSCRED}, {LEVEL_SOCKET, OPTION_TIMESTAMP},
        {LEVEL_TCP, OPTION_TCP_NODELAY}, {LEVEL_IP, OPTION_IP_PKTINFO}, {LEVEL_IPV6, OPTION_IPV6_RECVPKTINFO},
    };
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        int value = socket_option(from, copied[i].level, copied[i].option);
        if (value > 0)
            CALL(SYS_setsockopt, to, copied[i].level, copied[i].option, &value, sizeof value);
    }
}

static int take(struct offer *offer, int fd)
{
    long status = CALL(SYS_fcntl, fd, STATUS_GET), descriptor = CALL(SYS_fcntl, fd, DESCRIPTOR_GET);
    /* shared with every other process that has this socket: it does not block, and who wants that waits in accept() (see waiting.c) */
    long shared = CALL(SYS_fcntl, offer->fd, STATUS_GET);
    if (status < 0 || descriptor < 0 || shared < 0)
        return -1;
    if (!(shared & FLAG_NONBLOCK))
        CALL(SYS_fcntl, offer->fd, STATUS_SET, shared | FLAG_NONBLOCK);
    copy_options(fd, offer->fd);
    int family = socket_option(fd, LEVEL_SOCKET, OPTION_DOMAIN);
    long result = CALL(SYS_dup3, offer->fd, fd, descriptor & CLOSE_ON_EXEC ? FLAG_CLOEXEC : 0);
    if (result < 0)
        return (int)answer(result);
    offer->blocking = !(status & FLAG_NONBLOCK);
    offer->wanted_family = (uint16_t)family;
    offer->bound = kept.has_bound = true;
    if (family != offer->family)
        kept.has_translated = true;
    return 0;
}

EXPORT int bind(int fd, const void *address, unsigned length)
{
    kept_begin();
    struct offer *offer = kept.count == 0 || kept_at(fd) != NULL ? NULL : offer_for(fd, address, length);
    if (offer != NULL)
        return take(offer, fd);
    return next.bind == NULL ? (int)answer(CALL(SYS_bind, fd, address, length)) : next.bind(fd, address, length);
}

/* It listens already, with the queue that the configuration asks for; the program's own would cut it for both generations. */
EXPORT int listen(int fd, int backlog)
{
    kept_begin();
    if (kept_socket(fd) != NULL)
        return 0;
    return next.listen == NULL ? (int)answer(CALL(SYS_listen, fd, backlog)) : next.listen(fd, backlog);
}

/* It would end the socket for all who share it. What the program shuts down is a private one in its place, whose accept() fails as it expects. */
EXPORT int shutdown(int fd, int how)
{
    kept_begin();
    struct offer *offer = kept_socket(fd);
    if (offer != NULL && offer->type != TYPE_DGRAM && socket_cookie(fd) == offer->cookie)
        drain_one(fd);
    return next.shutdown == NULL ? (int)answer(CALL(SYS_shutdown, fd, how)) : next.shutdown(fd, how);
}
