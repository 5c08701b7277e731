#ifndef PINGORA_ENTRY_PROGRAM_H
#define PINGORA_ENTRY_PROGRAM_H

#include <stdbool.h>

#include "frame.h"

/*
 * What a line executes as its supervisor, kept in a memfd for its restarts: fields `a=ARG` and `e=NAME=value`, each with its NUL.
 */

/* The memfd of what the rest of a SUCCESSOR says; -1: `*wrong` is the key that is wrong, or NULL and errno says why. */
int program_keep(struct frame *frame, const char **wrong);

/* The same of arrays. -1: errno. */
int program_keep_arrays(char *const arguments[], char *const environment[]);

/* In a child: the arrays, in memory of their own. False: errno. */
bool program_read(int fd, char ***arguments, char ***environment);

#endif
