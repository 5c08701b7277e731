#ifndef PINGORA_ENTRY_SPAWN_H
#define PINGORA_ENTRY_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

struct state;

/* Why a child does not run its program: travels through its start pipe. */
struct start_failure {
    char stage[12];
    int error;
};

/* What this process was given and its children get back: SIGCHLD's disposition, RLIMIT_NOFILE. Called once, before any spawn. */
void spawn_remember(void);

/* In a child of ours, before it executes anything. */
void spawn_restore(void);

void spawn_visit(struct state *state);

/*
 * Forks a child for the rest of a SPAWN frame, on behalf of the `supervisor`-th supervisor of the line in slot `line`. Returns its slot in the
 * child table, in STARTING, or CHILD_NONE with `failure`. `fds` stay the caller's.
 */
int spawn(const char *id, struct frame *frame, const int fds[], size_t fd_count, int line, unsigned supervisor,
          struct start_failure *failure);

/* Reads a start pipe: true when the child runs or has failed, and is no longer STARTING. Closes the pipe then. */
bool spawn_started(int slot);

#endif
