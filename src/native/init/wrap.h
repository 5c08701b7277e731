#ifndef PINGORA_ENTRY_WRAP_H
#define PINGORA_ENTRY_WRAP_H

#include "options.h"

/* Runs one command as tini and dumb-init do; returns the exit code for this process. */
int wrap(const struct options *options, char *const argv[], char *const environment[]);

#endif
