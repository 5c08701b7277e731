/*
 * Draining: at a signal, every descriptor of this process that is an adopted socket becomes a private one on which nothing ever arrives. What
 * has been accepted goes on; nothing more is.
 */
#pragma once

#include <stdbool.h>

/* Installs the handler, unless the program has one of its own. */
void drain_arm(void);
/* Puts a private socket in the place of this one copy. */
void drain_one(int fd);
/* Whether the signal is ours: the program has no handler of its own for it. */
bool drain_armed(void);

/*
 * Around a call that waits: whether it failed because our handler, and no other, interrupted this thread. A program that knows nothing of the
 * signal is not to see that: the call is tried again. SA_RESTART is not enough: the kernel restarts no call on a socket that has a time limit
 * (SO_RCVTIMEO, SO_SNDTIMEO). The limit begins anew.
 */
void drain_wait_begins(void);
bool drain_cut(void);
