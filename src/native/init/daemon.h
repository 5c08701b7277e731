#ifndef PINGORA_ENTRY_DAEMON_H
#define PINGORA_ENTRY_DAEMON_H

#include <stdbool.h>

struct state;

/*
 * -d: returns in a process of its own session, child of nobody here. The process that was called waits for daemon_tell, so that its exit code
 * says whether the daemon came up: 0, or what the daemon ended with.
 */
bool daemon_detach(void);

/* Ready: the caller may go. Nothing happens without daemon_detach, or a second time. */
void daemon_tell(bool ready);
void daemon_tell_end(int code);

void daemon_visit(struct state *state);

#endif
