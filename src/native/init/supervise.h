#ifndef PINGORA_ENTRY_SUPERVISE_H
#define PINGORA_ENTRY_SUPERVISE_H

#include "options.h"

/* PROTOCOL.md: the init of a supervisor that it starts itself. Returns the exit code. */
int supervise(const struct options *options, char *const arguments[], char *const environment[]);

/* The same for a supervisor that started us, with the channel as fd 3. */
int supervise_as_spawner(char *const environment[]);

#endif
