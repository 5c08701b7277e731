/*
 * A drained datagram socket receives nothing more. Answers to what it received before leave by the one that is kept, with its address. And a
 * program with an IPv6 socket has IPv4 addresses in its own form, which the listener's IPv4 socket does not take.
 */
#include "next.h"
#include "text.h"
#include "translate.h"

static int sender(int fd)
{
    struct offer *offer = kept.has_bound ? kept_socket(fd) : NULL;
    return offer != NULL && offer->type == TYPE_DGRAM && offer->drained != 0 && kept_at(offer->fd) != NULL ? offer->fd : fd;
}

/* Whether `other` is the address to send to, in place of `to`. */
static bool takes_other(int fd, const void *to, unsigned *length, struct address *other)
{
    struct offer *offer = translated(fd);
    if (offer == NULL || offer->family != FAMILY_INET || *length < 24 || *length > sizeof *other)
        return false;
    bytes_copy(other, to, *length);
    *length = translate(other, *length, FAMILY_INET);
    return other->family == FAMILY_INET;
}

EXPORT long sendto(int fd, const void *bytes, size_t size, int flags, const void *to, unsigned length)
{
    struct address other = {0};
    if (to != NULL) {
        if (takes_other(fd, to, &length, &other))
            to = &other;
        fd = sender(fd);
    }
    return next.sendto == NULL ? answer(CALL(SYS_sendto, fd, bytes, size, flags, to, length)) : next.sendto(fd, bytes, size, flags, to, length);
}

EXPORT long sendmsg(int fd, const struct message *message, int flags)
{
    struct address other = {0};
    struct message own;
    if (message != NULL && message->name != NULL) {
        own = *message;
        if (takes_other(fd, own.name, &own.name_length, &other)) {
            own.name = &other;
            message = &own;
        }
        fd = sender(fd);
    }
    return next.sendmsg == NULL ? answer(CALL(SYS_sendmsg, fd, message, flags)) : next.sendmsg(fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct messages *list, unsigned count, int flags)
{
    if (translated(fd) == NULL && sender(fd) == fd)
        return next.sendmmsg == NULL ? (int)answer(CALL(SYS_sendmmsg, fd, list, count, flags)) : next.sendmmsg(fd, list, count, flags);
    int sent = 0;
    for (; (unsigned)sent < count; sent++) {
        long length = sendmsg(fd, &list[sent].message, flags);
        if (length < 0)
            return sent == 0 ? -1 : sent;
        list[sent].length = (unsigned)length;
    }
    return sent;
}
