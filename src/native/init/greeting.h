#ifndef PINGORA_ENTRY_GREETING_H
#define PINGORA_ENTRY_GREETING_H

#include <stdbool.h>

#include "channel.h"
#include "frame.h"

struct child;
struct line;
struct state;

/* What a supervisor is told after its HELLO: who we are, and all that is known of its line. */

void greeting_init(bool is_pid1);

/* Sends one frame of it, or none when there is nothing in the slot at hand, and goes on in line->report. */
enum channel_sent greeting_send(struct line *line);

/* How a child ended, as SYNC and EXITED say it. */
void greeting_add_exit(struct frame_text *text, const struct child *child);

void greeting_visit(struct state *state);

#endif
