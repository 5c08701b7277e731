/* Receiving from datagram sockets, also by read() and its like; and from any socket with a time limit, when it is drained meanwhile. */
#include "drain.h"
#include "next.h"
#include "translate.h"
#include "waiting.h"

EXPORT long recv(int fd, void *bytes, size_t size, int flags)
{
    long result;
    do {
        drain_wait_begins();
        result = next.recv == NULL ? answer(CALL(SYS_recvfrom, fd, bytes, size, flags, 0, 0)) : next.recv(fd, bytes, size, flags);
    } while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waited(fd));
    return result;
}

EXPORT long read(int fd, void *bytes, size_t size)
{
    long result;
    do {
        drain_wait_begins();
        result = next.read == NULL ? answer(CALL(SYS_read, fd, bytes, size)) : next.read(fd, bytes, size);
    } while (result < 0 && waited(fd));
    return result;
}

EXPORT long readv(int fd, const void *parts, int count)
{
    long result;
    do {
        drain_wait_begins();
        result = next.readv == NULL ? answer(CALL(SYS_readv, fd, parts, count)) : next.readv(fd, parts, count);
    } while (result < 0 && waited(fd));
    return result;
}

static long receive_once(int fd, void *bytes, size_t size, int flags, void *from, unsigned *length)
{
    return next.recvfrom == NULL ? answer(CALL(SYS_recvfrom, fd, bytes, size, flags, from, length)) : next.recvfrom(fd, bytes, size, flags, from, length);
}

EXPORT long recvfrom(int fd, void *bytes, size_t size, int flags, void *from, unsigned *length)
{
    struct offer *offer = from == NULL || length == NULL ? NULL : translated(fd);
    struct address whole = {0};
    unsigned whole_length = sizeof whole;
    long result;
    do {
        drain_wait_begins();
        result = receive_once(fd, bytes, size, flags, offer == NULL ? from : &whole, offer == NULL ? length : &whole_length);
    } while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waited(fd));
    if (result >= 0 && offer != NULL)
        translate_to(&whole, whole_length, offer->wanted_family, from, length);
    return result;
}

static long receive_message(int fd, struct message *message, int flags)
{
    long result;
    do {
        drain_wait_begins();
        result = next.recvmsg == NULL ? answer(CALL(SYS_recvmsg, fd, message, flags)) : next.recvmsg(fd, message, flags);
    } while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waited(fd));
    return result;
}

EXPORT long recvmsg(int fd, struct message *message, int flags)
{
    struct offer *offer = message == NULL || message->name == NULL ? NULL : translated(fd);
    if (offer == NULL)
        return receive_message(fd, message, flags);
    struct address whole = {0};
    struct message own = *message;
    own.name = &whole;
    own.name_length = sizeof whole;
    long result = receive_message(fd, &own, flags);
    if (result < 0)
        return result;
    translate_to(&whole, own.name_length, offer->wanted_family, message->name, &message->name_length);
    message->control_length = own.control_length;
    message->flags = own.flags;
    return result;
}

/* Waits for the first one only: fewer than the program has room for are what it may get at any time. */
EXPORT int recvmmsg(int fd, struct messages *list, unsigned count, int flags, void *timeout)
{
    int result;
    if (translated(fd) == NULL) {
        do {
            drain_wait_begins();
            result = next.recvmmsg == NULL ? (int)answer(CALL(SYS_recvmmsg, fd, list, count, flags, timeout)) : next.recvmmsg(fd, list, count, flags, timeout);
        } while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waited(fd));
        return result;
    }
    flags &= ~MESSAGE_WAIT_FOR_ONE;
    for (result = 0; (unsigned)result < count; result++) {
        long length = recvmsg(fd, &list[result].message, result == 0 ? flags : flags | MESSAGE_DONTWAIT);
        if (length < 0)
            return result == 0 ? -1 : result;
        list[result].length = (unsigned)length;
    }
    return result;
}

/* What programs call that were compiled with _FORTIFY_SOURCE. */
EXPORT long __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    if (size > room)
        __builtin_trap();
    return recv(fd, bytes, size, flags);
}

EXPORT long __recvfrom_chk(int fd, void *bytes, size_t size, size_t room, int flags, void *from, unsigned *length)
{
    if (size > room)
        __builtin_trap();
    return recvfrom(fd, bytes, size, flags, from, length);
}

EXPORT long __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    if (size > room)
        __builtin_trap();
    return read(fd, bytes, size);
}
