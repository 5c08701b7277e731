#ifndef PINGORA_ENTRY_LINE_H
#define PINGORA_ENTRY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "inbox.h"
#include "report.h"
#include "standby.h"
#include "stop.h"
#include "supervisor.h"

struct state;

/*
 * A line: the supervisors that follow each other in one generation, with their channel and their children. The init starts with line 1,
 * SUCCESSOR starts further ones, and one of them is the primary: it gets the signals that are not a stop, and the init's exit code is its own.
 *
 *   FREE -> ALIVE -> FREE
 *             '-> OVER -> FREE       the primary is still to be told that it has ended
 */
enum { LINE_MOST = 4 };
/* The numbers are in the state that is left to another init. */
enum line_state { LINE_FREE, LINE_ALIVE, LINE_OVER };

struct line {
    enum line_state state;
    int number;       /* 1, 2, 3 ...: never used again */
    bool was_primary; /* it is or once was */
    int channel;      /* -1: closed */
    struct supervisor supervisor;
    struct standby standby;
    struct report report;
    struct inbox inbox;
    struct stop stop;
};

/* A new living line, the first of which is the primary. NULL when there are LINE_MOST already. */
struct line *line_open(void);
/* Its channel, held descriptors and children are dropped. It is FREE then, or OVER when `tell`. */
void line_close(struct line *line, bool tell);
/* The primary was told, or nobody is to be. */
void line_forget(struct line *line);

int line_slot(const struct line *line);
struct line *line_at(int slot);

/* The living lines, in the order of their slots: the one after `line`, the first after NULL, NULL after the last. */
struct line *line_next(const struct line *line);
/* NULL when none that lives has this number, or a supervisor with this pid. */
struct line *line_by_number(int64_t number);
struct line *line_by_supervisor(pid_t pid);
/* One that has ended and waits to be told of; NULL when there is none. */
struct line *line_first_over(void);

int line_count(void);
bool line_is_only(const struct line *line);

/* NULL when the primary has ended and no other line has taken its place. */
struct line *line_primary(void);
bool line_is_primary(const struct line *line);
void line_make_primary(struct line *line);

void line_visit(struct state *state, struct line *line);
void line_visit_all(struct state *state);
/* A living line in a slot that was free, to be visited; NULL when it is not free. */
struct line *line_restore(int slot);
/* All are. False when they do not fit together, or none lives. */
bool line_restored_all(void);

#endif
