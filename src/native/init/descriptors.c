#define _GNU_SOURCE
#include "descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CLOSE_ON_EXEC = 1u << 2 /* CLOSE_RANGE_CLOEXEC */ };

/* Where a kernel before 5.9 does not do it for all at once. */
static unsigned end_of_table(void)
{
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < 65536 ? (unsigned)limit.rlim_cur : 65536;
}

void descriptors_inherit_none(void)
{
    unsigned first = STDERR_FILENO + 1u;
    if (syscall(SYS_close_range, first, ~0u, (unsigned)CLOSE_ON_EXEC) == 0)
        return;
    for (unsigned fd = first, end = end_of_table(); fd < end; fd++)
        fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

void descriptors_close_from(unsigned first)
{
    if (syscall(SYS_close_range, first, ~0u, 0u) == 0)
        return;
    for (unsigned fd = first, end = end_of_table(); fd < end; fd++)
        close((int)fd);
}
