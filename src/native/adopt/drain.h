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

/* Around a call that waits: whether this thread was interrupted by our handler alone. A program that knows nothing of the signal is not to see that. */
void drain_wait_begins(void);
bool drain_interrupted(void);
