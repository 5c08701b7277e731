#include "eventpolls.h"

#include "fdinfo.h"
#include "kernel.h"
#include "text.h"

enum { MOST_REGISTRATIONS = 4096 };

static struct { int set, fd; struct epoll_entry entry; } registrations[MOST_REGISTRATIONS];
static size_t count;

static bool read_registration(int set, int fd, struct epoll_entry *entry)
{
    static char bytes[4096];
    char path[64] = "/proc/thread-self/fdinfo/";
    struct fdinfo info;
    text_number(path + text_length(path), (uint64_t)set);
    long file = CALL(SYS_openat, AT_HERE, path, FLAG_CLOEXEC), length = 0;
    if (file < 0)
        return false;
    fdinfo_begin(&info, fd);
    while (!info.found && (length = CALL(SYS_read, file, bytes, sizeof bytes)) > 0)
        fdinfo_feed(&info, bytes, (size_t)length);
    CALL(SYS_close, file);
    entry->events = info.events;
    entry->data = info.data;
    return info.found;
}

bool eventpolls_take_out(int set, int fd)
{
    struct epoll_entry entry = {0, 0};
    if (set == fd)
        return false;
    /* answers what it is: no epoll set, one without it, or one that has it */
    long result = CALL(SYS_epoll_ctl, set, EPOLL_ADD, fd, &entry);
    if (result >= 0)
        CALL(SYS_epoll_ctl, set, EPOLL_DELETE, fd, &entry);
    if (result != -E_EXIST)
        return result != -E_INVAL;
    bool known = read_registration(set, fd, &entry);
    CALL(SYS_epoll_ctl, set, EPOLL_DELETE, fd, &entry);
    if (!known || count == MOST_REGISTRATIONS)
        return true;
    registrations[count].set = set;
    registrations[count].fd = fd;
    registrations[count++].entry = entry;
    return true;
}

void eventpolls_put_back(void)
{
    for (size_t i = 0; i < count; i++)
        CALL(SYS_epoll_ctl, registrations[i].set, EPOLL_ADD, registrations[i].fd, &registrations[i].entry);
    count = 0;
}
