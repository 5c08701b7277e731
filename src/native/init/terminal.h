#ifndef PINGORA_ENTRY_TERMINAL_H
#define PINGORA_ENTRY_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * How a child gets the controlling terminal of this process.
 *
 *   NONE        there is none
 *   SESSION     we lead its session: we leave the terminal, the child takes it as leader of a session of its own
 *   GROUP       another process leads the session (a shell): the child stays in it, as the foreground process group
 *   BACKGROUND  the same, and another group is in the foreground: the child stays in the session without taking the terminal
 */
enum terminal_way { TERMINAL_NONE, TERMINAL_SESSION, TERMINAL_GROUP, TERMINAL_BACKGROUND };

/* The way that is open, with stdin as the terminal. Changes nothing. */
enum terminal_way terminal_find(void);

/* Before the fork, for SESSION: leaves the terminal. The hangup that the kernel sends for it is swallowed, a real one is not. */
void terminal_leave(void);

/* In the child, for SESSION after setsid(), for GROUP after setpgid(). Signals must be blocked. */
void terminal_take(enum terminal_way way);

/* For GROUP and BACKGROUND: makes `group` the foreground group again, if our own or `instead_of` is it. */
void terminal_give(pid_t group, pid_t instead_of);

#endif
