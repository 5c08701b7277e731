#define _GNU_SOURCE
#include "slice.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SHORTEST_NS = 100000, NORMAL = 0 };

/* sched_setattr(2); the C library has neither the call nor, everywhere, the structure */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void slice_shorten(void)
{
    struct attributes own = {.size = sizeof own};
    if (syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) < 0 || own.policy != NORMAL)
        return;
    own.runtime = SHORTEST_NS;
    syscall(SYS_sched_setattr, 0, &own, 0);
}
