#ifndef PINGORA_ENTRY_REPORT_H
#define PINGORA_ENTRY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct line;
struct state;

/*
 * What the supervisor of a line is told. Nothing is queued as a frame: answers are given one at a time, the next order is not read before
 * they are sent, and events are read from the tables when there is room. So a supervisor that does not read costs no memory.
 */
/* The numbers are in the state that is left to another init. */
enum report_step { SILENT, WELCOME, SYNC_CHILDREN, SYNC_HELD, SYNC_LINES, SYNCED, GREETED };

/* Answers that come when something has happened, while other orders are read: at most one of a kind is under way. */
enum report_late { LATE_SUCCESSOR, LATE_REPLACE, LATE_KINDS };

struct report {
    enum report_step step;
    int sync_at;
    unsigned restarts;
    bool ready, ever_greeted;
    bool answer_waits;
    bool is_blocked; /* the socket tells when there is room, or that it has ended */
    int64_t orphans_told, orphans_next;
    int64_t retry_at;
    bool late_waits[LATE_KINDS];
    struct frame_text late[LATE_KINDS];
    struct frame_text answer;
};

void report_begin(struct report *report);

/* A supervisor says HELLO: WELCOME, then all that is known, then SYNCED. */
void report_hello(struct line *line, unsigned restarts);
/* It is gone: nothing is owed to it. */
void report_lost(struct line *line);
bool report_has_greeted(const struct line *line);

/* From now on signals are told, too. */
void report_ready(struct line *line);
bool report_is_ready(const struct line *line);

/* The answer to the order at hand; one at most for each. */
void report_answer(struct line *line, const struct frame_text *text);

/* The answer to an earlier order of the supervisor after so many restarts; dropped when that one is gone. */
void report_answer_later(struct line *line, unsigned restarts, enum report_late kind, const struct frame_text *text);

/* One more orphan was reaped. */
void report_orphan(void);

/* Sends what there is room for. True when the socket should be waited for to become writable. */
bool report_flush(struct line *line, int64_t now);

/* An answer or the greeting is under way: no order is read. */
bool report_is_busy(const struct line *line);

/* When report_flush wants to be called again on its own; INT64_MAX: never. */
int64_t report_deadline(const struct line *line);

void report_visit(struct state *state, struct report *report);
void report_visit_all(struct state *state);

#endif
