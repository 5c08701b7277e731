#ifndef PINGORA_ENTRY_STOP_H
#define PINGORA_ENTRY_STOP_H

#include <stdbool.h>
#include <stdint.h>

struct line;
struct state;

/*
 * How a line ends: by EXIT, by itself as last resort, at the instant of BACKSTOP, by ABANDON, or because the primary has ended. The init ends
 * with its last line, with the result of the line that was primary last.
 */

enum { STOP_DEFAULT_GRACE_MS = 10000 };

struct stop {
    int64_t grace_ms;
    int64_t backstop_at; /* INT64_MAX: none */
    int backstop_code;
    int64_t doomed_at; /* the primary has ended: this line must, too. INT64_MAX: no */

    bool begun, is_last_resort;
    bool by_signal; /* how it ends, for ENDED and for the init's exit code */
    int result;
    int64_t kill_at, kill_supervisor_at, give_up_at;
    int64_t look_at; /* when to look again whether anybody is left */
};

void stop_begin(struct stop *stop);

/* GRACE: what a last resort may take. */
void stop_set_grace(struct line *line, int64_t milliseconds);

/* BACKSTOP: at this instant the line is over, and with the primary all is. INT64_MAX takes it back. */
void stop_set_backstop(struct line *line, int64_t at, int code);

/* EXIT. The supervisor gets 2 s to end by itself. */
void stop_by_order(struct line *line, int code, int64_t now);

/* TERM for all of the line, after the grace KILL, then `code`. Says why on stderr when there is anything to stop. */
void stop_as_last_resort(struct line *line, int code, const char *why, int64_t now);

/* KILL for the supervisor, TERM for the rest of the line, KILL 500 ms later. `status`: what the supervisor ended with, as wait(2) tells it. */
void stop_abandon(struct line *line, int status, int64_t now);

/* The line has become the primary: it need not follow the one before. */
void stop_survive(struct line *line);

/* Somebody asks again while a last resort takes its time: KILL now. */
void stop_hurry(int64_t now);

bool stop_has_begun(const struct line *line);

/* Something has ended: perhaps it was the last of a line that is being stopped. */
void stop_look(void);

/* Does what is due. True when all lines are over, with the exit code. */
bool stop_turn(int64_t now, int *code);

void stop_visit(struct state *state, struct stop *stop);
void stop_visit_all(struct state *state);

/* When stop_turn has something to do; INT64_MAX: never. */
int64_t stop_deadline(void);

#endif
