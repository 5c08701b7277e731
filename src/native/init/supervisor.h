#ifndef PINGORA_ENTRY_SUPERVISOR_H
#define PINGORA_ENTRY_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The supervisor's process: started, watched, started again. */

/* What to execute, again and again. The arrays stay the caller's. */
void supervisor_init(char *const arguments[], char *const environment[]);

/* Does what is due: starts one when it is time, kills one that does not answer. `now` is also when that is. */
void supervisor_turn(int64_t now);

/* 0: none runs. */
pid_t supervisor_pid(void);

/* How often one was started after the first. */
unsigned supervisor_restarts(void);

/* Its process has ended. What it had sent is taken in before. */
void supervisor_ended(int status, int64_t now);

/* Its end of the channel is closed; the process should end, too. */
void supervisor_closed(int64_t now);

/* When supervisor_turn has something to do; INT64_MAX: never. */
int64_t supervisor_deadline(void);

#endif
