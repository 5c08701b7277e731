/*
 * A drained datagram socket receives nothing more. Answers to what it received before leave by the one that is kept, with its address. And a
 * program with an IPv6 socket has IPv4 addresses in its own form, which the listener's IPv4 socket does not take.
 * And whatever is sent with a time limit goes on when it is drained meanwhile: see drain.h.
 */
#include "drain.h"
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

EXPORT long send(int fd, const void *bytes, size_t size, int flags)
{
    long result;
    do {
        drain_wait_begins();
        result = next.send == NULL ? answer(CALL(SYS_sendto, fd, bytes, size, flags, 0, 0)) : next.send(fd, bytes, size, flags);
    } while (result < 0 && drain_cut());
    return result;
}

EXPORT long write(int fd, const void *bytes, size_t size)
{
    long result;
    do {
        drain_wait_begins();
        result = next.write == NULL ? answer(CALL(SYS_write, fd, bytes, size)) : next.write(fd, bytes, size);
    } while (result < 0 && drain_cut());
    return result;
}

EXPORT long writev(int fd, const void *parts, int count)
{
    long result;
    do {
        drain_wait_begins();
        result = next.writev == NULL ? answer(CALL(SYS_writev, fd, parts, count)) : next.writev(fd, parts, count);
    } while (result < 0 && drain_cut());
    return result;
}

EXPORT long sendto(int fd, const void *bytes, size_t size, int flags, const void *to, unsigned length)
{
    struct address other = {0};
    bool addressed = to != NULL;
    if (addressed && takes_other(fd, to, &length, &other))
        to = &other;
    long result;
    do {
        drain_wait_begins();
        int by = addressed ? sender(fd) : fd;
        result = next.sendto == NULL ? answer(CALL(SYS_sendto, by, bytes, size, flags, to, length)) : next.sendto(by, bytes, size, flags, to, length);
    } while (result < 0 && drain_cut());
    return result;
}

EXPORT long sendmsg(int fd, const struct message *message, int flags)
{
    struct address other = {0};
    struct message own;
    bool addressed = message != NULL && message->name != NULL;
    if (addressed) {
        own = *message;
        if (takes_other(fd, own.name, &own.name_length, &other)) {
            own.name = &other;
            message = &own;
        }
    }
    long result;
    do {
        drain_wait_begins();
        int by = addressed ? sender(fd) : fd;
        result = next.sendmsg == NULL ? answer(CALL(SYS_sendmsg, by, message, flags)) : next.sendmsg(by, message, flags);
    } while (result < 0 && drain_cut());
    return result;
}

EXPORT int sendmmsg(int fd, struct messages *list, unsigned count, int flags)
{
    while (translated(fd) == NULL && sender(fd) == fd) {
        drain_wait_begins();
        int result = next.sendmmsg == NULL ? (int)answer(CALL(SYS_sendmmsg, fd, list, count, flags)) : next.sendmmsg(fd, list, count, flags);
        if (result >= 0 || !drain_cut())
            return result;
    }
    int sent = 0;
    for (; (unsigned)sent < count; sent++) {
        long length = sendmsg(fd, &list[sent].message, flags);
        if (length < 0)
            return sent == 0 ? -1 : sent;
        list[sent].length = (unsigned)length;
    }
    return sent;
}
