#ifndef PINGORA_ENTRY_STOP_H
#define PINGORA_ENTRY_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* How this init ends: by EXIT, by itself as last resort, or at the instant of BACKSTOP. */

enum { STOP_DEFAULT_GRACE_MS = 10000 };

/* GRACE: what a last resort may take. */
void stop_set_grace(int64_t milliseconds);

/* BACKSTOP: at this instant all is over. INT64_MAX takes it back. */
void stop_set_backstop(int64_t at, int code);

/* EXIT. The supervisor gets 2 s to end by itself. */
void stop_by_order(int code, int64_t now);

/* TERM for all, after the grace KILL, then `code`. Says why on stderr when there is anything to stop. */
void stop_as_last_resort(int code, const char *why, int64_t now);

/* Somebody asks again while the last resort takes its time: KILL now. */
void stop_hurry(int64_t now);

bool stop_has_begun(void);

/* Does what is due. True when all is over, with the exit code. `nobody_left`: this process has no child any more. */
bool stop_turn(bool nobody_left, int64_t now, int *code);

/* When stop_turn has something to do; INT64_MAX: never. */
int64_t stop_deadline(void);

#endif
