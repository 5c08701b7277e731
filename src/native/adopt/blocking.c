/* O_NONBLOCK of an adopted socket is what the program says of it, and for this program alone: see waiting.c. */
#include <stdarg.h>

#include "kept.h"
#include "next.h"

static struct offer *bound_at(int fd)
{
    struct offer *offer = kept.has_bound ? kept_socket(fd) : NULL;
    return offer != NULL && offer->bound ? offer : NULL;
}

/* The offer at `fd`, of which the program now says whether it blocks: also of one that it was passed, and did not bind. */
static struct offer *told_at(int fd, bool blocking)
{
    struct offer *offer = kept_socket(fd);
    if (offer == NULL)
        return NULL;
    offer->blocking = blocking;
    if (!offer->bound) {
        offer->wanted_family = offer->family;
        offer->bound = kept.has_bound = true;
    }
    return offer;
}

static int control(int (*call)(int, int, ...), int fd, int command, unsigned long value)
{
    struct offer *offer = command == STATUS_GET ? bound_at(fd) : NULL;
    if (command == STATUS_SET && told_at(fd, !(value & FLAG_NONBLOCK)) != NULL)
        value |= FLAG_NONBLOCK;
    int result = call == NULL ? (int)answer(CALL(SYS_fcntl, fd, command, value)) : call(fd, command, value);
    return offer != NULL && result >= 0 && offer->blocking ? result & ~FLAG_NONBLOCK : result;
}

EXPORT int fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    unsigned long value = va_arg(list, unsigned long);
    va_end(list);
    return control(next.fcntl, fd, command, value);
}

EXPORT int fcntl64(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    unsigned long value = va_arg(list, unsigned long);
    va_end(list);
    return control(next.fcntl64 == NULL ? next.fcntl : next.fcntl64, fd, command, value);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *value = va_arg(list, void *);
    va_end(list);
    int on = 1;
    if ((unsigned)request == REQUEST_NONBLOCK && value != NULL && told_at(fd, *(int *)value == 0) != NULL)
        value = &on;
    return next.ioctl == NULL ? (int)answer(CALL(SYS_ioctl, fd, request, value)) : next.ioctl(fd, request, value);
}
