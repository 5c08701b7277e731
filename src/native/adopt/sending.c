/* A drained datagram socket receives nothing more. Answers to what it received before leave by the one that is kept, with its address. */
#include "kept.h"
#include "next.h"

static int sender(int fd)
{
    struct offer *offer = kept.has_bound ? kept_socket(fd) : NULL;
    return offer != NULL && offer->type == TYPE_DGRAM && offer->drained != 0 && kept_at(offer->fd) != NULL ? offer->fd : fd;
}

EXPORT long sendto(int fd, const void *bytes, size_t size, int flags, const void *to, unsigned length)
{
    if (to != NULL)
        fd = sender(fd);
    return next.sendto == NULL ? answer(CALL(SYS_sendto, fd, bytes, size, flags, to, length)) : next.sendto(fd, bytes, size, flags, to, length);
}

EXPORT long sendmsg(int fd, const struct message *message, int flags)
{
    if (message != NULL && message->name != NULL)
        fd = sender(fd);
    return next.sendmsg == NULL ? answer(CALL(SYS_sendmsg, fd, message, flags)) : next.sendmsg(fd, message, flags);
}
