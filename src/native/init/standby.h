#ifndef PINGORA_ENTRY_STANDBY_H
#define PINGORA_ENTRY_STANDBY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct line;
struct state;

/*
 * STANDBY: a line without supervisor, which waits until a lock was free once. A child waits for it, for flock(2) wakes nobody else. So a
 * generation that another one has replaced costs nothing but the init.
 */
struct standby {
    int lock;     /* -1: no standby */
    pid_t waiter; /* 0: none runs */
};

void standby_begin(struct standby *standby);
void standby_end(struct standby *standby);

/* The supervisor is about to end, and none is to be started before the lock was free. Takes `lock` over. */
void standby_order(struct line *line, int lock, int64_t now);

/* Between the end of one supervisor and the start of the next one. */
bool standby_is_on(const struct line *line);

/* Does what is due: starts the child, or ends the standby of a line that is asked to stop. */
void standby_turn(struct line *line, int64_t now);

/* When standby_turn has something to do; INT64_MAX: never. */
int64_t standby_deadline(const struct line *line);

/* True when `pid` was a child of this kind: it has ended. */
bool standby_reap(pid_t pid, int status, int64_t now);

void standby_visit(struct state *state, struct standby *standby);

#endif
