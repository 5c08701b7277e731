/*
 * accept(), and receiving from datagram sockets. O_NONBLOCK belongs to the socket, not to the descriptor: all programs that share one, and the
 * supervisor, share it, so that a program which relies on it either way could be stopped or spun by another. An adopted socket is always
 * non-blocking, and a program that believes its own to block waits here. What fcntl() and ioctl() say of it is in blocking.c.
 */
#include "kept.h"
#include "next.h"
#include "text.h"

/* A call that waits goes on after a signal if its handler was installed with SA_RESTART. Which handler it was cannot be told: all must be so. */
static bool goes_on_after_signals(void)
{
    for (int number = 1; number <= SIGNALS; number++) {
        struct kernel_action action = {0};
        if (number == kept.drain_signal || number == 32 || number == 33)
            continue; /* ours, and those of the thread library */
        if (CALL(SYS_rt_sigaction, number, 0, &action, sizeof action.mask) < 0)
            continue;
        if ((uintptr_t)action.handler > 1 && !(action.flags & HANDLER_RESTART))
            return false;
    }
    return true;
}

/* after which the call is tried again: another thread may have put another socket at this number (shutdown, drain) */
enum { SLICE_MS = 1000 };

/* False: the call ends with the error that is set. */
static bool wait_for(int fd)
{
    struct time_value timeout = {0, 0};
    unsigned length = sizeof timeout;
    CALL(SYS_getsockopt, fd, LEVEL_SOCKET, OPTION_RECEIVE_TIMEOUT, &timeout, &length);
    long most = timeout.seconds > 1000000 ? 1000000000 : timeout.seconds * 1000 + (timeout.microseconds + 999) / 1000;
    for (;;) {
        struct poll_entry entry = {.fd = fd, .wanted = READABLE};
        int ready = next.poll(&entry, 1, most == 0 ? SLICE_MS : (int)most);
        if (ready > 0 || (ready == 0 && most == 0))
            return true;
        if (ready == 0) {
            *error_place() = E_AGAIN;
            return false;
        }
        if (*error_place() != E_INTR || !goes_on_after_signals())
            return false;
    }
}

static bool waits(int fd)
{
    if (!kept.has_bound || next.poll == NULL || *error_place() != E_AGAIN)
        return false;
    struct offer *offer = kept_socket(fd);
    return offer != NULL && offer->bound && offer->blocking;
}

/* The address in the family that the program made its socket of. Returns its length. */
static unsigned translate(struct address *address, unsigned length, unsigned family)
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

static struct offer *translated(int fd)
{
    struct offer *offer = kept.has_translated ? kept_socket(fd) : NULL;
    return offer != NULL && offer->bound && offer->wanted_family != offer->family ? offer : NULL;
}

static void give(const struct address *from, unsigned length, unsigned family, void *to, unsigned *size)
{
    struct address address = *from;
    length = translate(&address, length, family);
    bytes_copy(to, &address, length < *size ? length : *size);
    *size = length;
}

static int accept_once(int fd, void *address, unsigned *length, int flags, bool plain)
{
    if (plain)
        return next.accept == NULL ? (int)answer(CALL(SYS_accept, fd, address, length)) : next.accept(fd, address, length);
    return next.accept4 == NULL ? (int)answer(CALL(SYS_accept4, fd, address, length, flags)) : next.accept4(fd, address, length, flags);
}

static int accept_any(int fd, void *address, unsigned *length, int flags, bool plain)
{
    struct offer *offer = address == NULL || length == NULL ? NULL : translated(fd);
    struct address whole;
    unsigned whole_length = sizeof whole;
    int result;
    do
        result = offer == NULL ? accept_once(fd, address, length, flags, plain) : accept_once(fd, &whole, &whole_length, flags, plain);
    while (result < 0 && waits(fd) && wait_for(fd));
    if (result >= 0 && offer != NULL)
        give(&whole, whole_length, offer->wanted_family, address, length);
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
    struct address whole;
    unsigned whole_length = sizeof whole;
    if (offer == NULL || CALL(call, fd, &whole, &whole_length) < 0)
        return false;
    give(&whole, whole_length, offer->wanted_family, address, length);
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

EXPORT long recv(int fd, void *bytes, size_t size, int flags)
{
    long result;
    do
        result = next.recv == NULL ? answer(CALL(SYS_recvfrom, fd, bytes, size, flags, 0, 0)) : next.recv(fd, bytes, size, flags);
    while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waits(fd) && wait_for(fd));
    return result;
}

static long receive_once(int fd, void *bytes, size_t size, int flags, void *from, unsigned *length)
{
    return next.recvfrom == NULL ? answer(CALL(SYS_recvfrom, fd, bytes, size, flags, from, length)) : next.recvfrom(fd, bytes, size, flags, from, length);
}

EXPORT long recvfrom(int fd, void *bytes, size_t size, int flags, void *from, unsigned *length)
{
    /* an IPv6 socket can send to an address of IPv4, not the other way round: the answer needs the address that came */
    struct offer *offer = from == NULL || length == NULL ? NULL : translated(fd);
    if (offer != NULL && offer->wanted_family == FAMILY_INET6)
        offer = NULL;
    struct address whole;
    unsigned whole_length = sizeof whole;
    long result;
    do
        result = receive_once(fd, bytes, size, flags, offer == NULL ? from : &whole, offer == NULL ? length : &whole_length);
    while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waits(fd) && wait_for(fd));
    if (result >= 0 && offer != NULL)
        give(&whole, whole_length, offer->wanted_family, from, length);
    return result;
}

EXPORT long recvmsg(int fd, struct message *message, int flags)
{
    long result;
    do
        result = next.recvmsg == NULL ? answer(CALL(SYS_recvmsg, fd, message, flags)) : next.recvmsg(fd, message, flags);
    while (result < 0 && !(flags & MESSAGE_DONTWAIT) && waits(fd) && wait_for(fd));
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
