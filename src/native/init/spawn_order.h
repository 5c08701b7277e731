#ifndef PINGORA_ENTRY_SPAWN_ORDER_H
#define PINGORA_ENTRY_SPAWN_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "frame.h"
#include "held.h"

enum {
    ORDER_MOST_FDS = HELD_MOST + FRAME_MOST_FDS,
    ORDER_MOST_LIMITS = 16,
    ORDER_MOST_GROUPS = 256,
    ORDER_MOST_PIDENVS = 8,
    ORDER_LONGEST_ID = 127,
    ORDER_HIGHEST_TARGET = 65535,
};

/* What appears as `target` in the child: the frame's fd number `index`, or what the line holds by the name `held`, when that is not NULL. */
struct order_fd {
    int target, index;
    const char *held;
};

/* SPAWN's fields after the id, read. Strings point into the frame. */
struct spawn_order {
    bool session, tty;
    bool has_nice, has_oom, has_umask, has_gid, has_groups, has_uid;
    int nice, oom;
    mode_t umask;
    gid_t gid;
    uid_t uid;
    size_t group_count;
    gid_t groups[ORDER_MOST_GROUPS];
    size_t limit_count;
    struct {
        int resource;
        struct rlimit limit;
    } limits[ORDER_MOST_LIMITS];
    const char *cwd;
    size_t pidenv_count;
    const char *pidenvs[ORDER_MOST_PIDENVS];
    size_t environment_count, argument_count;
    struct frame fields; /* all of them once more, for `e` and `a` */
    size_t fd_count;
    struct order_fd fds[ORDER_MOST_FDS]; /* last: large, and never cleared, so that its pages are touched only when they are used */
};

/* Reads the rest of `frame`. NULL when all is well, else the key that is wrong or unknown (as the frame has it, or a constant). */
const char *spawn_order_read(struct frame *frame, size_t fds, struct spawn_order *order);

/* `field` without "KEY=", when that is its key. */
const char *spawn_order_value(const char *field, const char *key);

#endif
