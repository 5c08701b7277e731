#ifndef PINGORA_ENTRY_SUPERVISE_H
#define PINGORA_ENTRY_SUPERVISE_H

#include "options.h"

struct state;

/* PROTOCOL.md: the init of a supervisor that it starts itself. Returns the exit code. */
int supervise(const struct options *options, char *const arguments[], char *const environment[]);

/* Goes on where another init of ours stopped that executed this program in its place (replace.h): `memory` is its state, a descriptor. */
int supervise_resume(const char *memory, char *const environment[]);

/* The same for a supervisor that started us, with the channel as fd 3. */
int supervise_as_spawner(char *const environment[]);

void supervise_visit(struct state *state);

#endif
