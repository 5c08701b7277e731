#ifndef PINGORA_ENTRY_REPLACE_H
#define PINGORA_ENTRY_REPLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct line;
struct state;

/*
 * REPLACE: another program takes this one's place, in the same process.
 *
 *   the file is looked at -> a child executes it as `FILE --state-version`, with our state as stdin, and it says whether it can read that ->
 *   the state is written again, all that it names is let through -> execve FILE --resume FD
 *
 * Up to the last step nothing has changed, and it is the kernel that decides that one. The other program finds every signal that came
 * meanwhile still pending, every order in its channel, every dead child not yet waited for.
 */

/* `watch` is called with a pipe to call replace_answered for when it can be read, and before that is closed with `on` false. */
void replace_init(char *const environment[], void (*watch)(int pipe, bool on));

/* Begins; the supervisor of `line` is told what becomes of it. NULL, or what is wrong. */
const char *replace_begin(struct line *line, const char *path, int64_t now);

/* Nothing happens when no pipe is watched any more. */
void replace_answered(void);

/* True when `pid` was the child that looked at the file: it has ended. */
bool replace_reap(pid_t pid);

/* Does what is due: gives up, or executes the other program, and then does not return. */
void replace_turn(int64_t now);

/* When replace_turn has something to do; INT64_MAX: never. */
int64_t replace_deadline(void);

/* `--state-version`: says on stdout which states this program reads, and whether it can read the one on stdin. Returns the exit code. */
int replace_answer(void);

/* In the program that has taken the place: tells who asked. */
void replace_done(void);

void replace_visit(struct state *state);

#endif
