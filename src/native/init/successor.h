#ifndef PINGORA_ENTRY_SUCCESSOR_H
#define PINGORA_ENTRY_SUCCESSOR_H

#include <stdbool.h>
#include <stdint.h>

struct frame;
struct line;

/*
 * SUCCESSOR: starts the first supervisor of a new line, which is returned; that `line` and its supervisor are told when its program runs. NULL:
 * `*stage` and `*error` say why not.
 */
struct line *successor_start(struct line *line, struct frame *frame, int64_t now, const char **stage, int *error);

/* A successor that the supervisor of `line` asked for is on its way. */
bool successor_is_starting_for(const struct line *line);

/* Its start pipe can be read: true when its program runs, or never will; the pipe is closed then, and who asked is told. */
bool successor_started(struct line *line);

#endif
