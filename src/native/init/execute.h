#ifndef PINGORA_ENTRY_EXECUTE_H
#define PINGORA_ENTRY_EXECUTE_H

#include <stddef.h>

/* The value of NAME in `environment`, or NULL. */
const char *execute_variable(char *const environment[], const char *name);

/*
 * Replaces the process by argv[0], looked up in the PATH of `environment` when it has no '/', run by /bin/sh when it is a script without an
 * interpreter line, as execvp does. Returns only on failure, errno set.
 */
void execute(char *const argv[], char *const environment[]);

/* Says why `execute` of `program` failed with `error`, and returns the exit code that a shell would: 126 or 127. */
int execute_explain(const char *program, int error, char *const environment[]);

/* Finds an executable `name` in PATH; writes its path, or returns NULL. */
const char *execute_find(const char *name, char *const environment[], char *path, size_t size);

#endif
