/*
 * connect() is of the socket, not of the program: a datagram socket with a peer is deaf to everybody else, for all who share it and whoever comes
 * after them, and a connection to no family ends the listening. Neither can be had of a shared socket.
 */
#include "drain.h"
#include "kept.h"
#include "next.h"

static long refuse(const struct offer *offer, const struct address *to, size_t length)
{
    if (offer->type != TYPE_DGRAM)
        return -E_ISCONN; /* as a listening socket answers to any address */
    /* it has no peer, so that there is none to be left */
    return to != NULL && length >= sizeof to->family && to->family == FAMILY_NONE ? 0 : -E_OPNOTSUPP;
}

EXPORT int connect(int fd, const void *to, unsigned length)
{
    kept_begin();
    const struct offer *offer = kept_socket(fd);
    if (offer != NULL)
        return (int)answer(refuse(offer, to, length));
    bool again = false;
    for (;; again = true) {
        drain_wait_begins();
        int result = next.connect == NULL ? (int)answer(CALL(SYS_connect, fd, to, length)) : next.connect(fd, to, length);
        if (result < 0 && drain_cut())
            continue;
        /* when its time is over, a second call is told so in another way */
        if (result < 0 && again && *error_place() == E_ALREADY)
            *error_place() = E_INPROGRESS;
        return result;
    }
}
