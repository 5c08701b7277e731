#ifndef PINGORA_ENTRY_CHILDREN_H
#define PINGORA_ENTRY_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "spawn_order.h"

struct state;

/*
 * The child table. A slot is taken by a SPAWN, and given back when its child has ended and was forgotten.
 *
 *   FREE -> STARTING -> RUNNING -> EXITED -> FREE
 *              '-> FAILED -> FREE
 */
/* The numbers are in the state that is left to another init. */
enum child_state { CHILD_FREE, CHILD_STARTING, CHILD_RUNNING, CHILD_EXITED, CHILD_FAILED };

enum { CHILD_MOST = 16384, CHILD_NONE = -1 };

struct child {
    enum child_state state;
    pid_t pid;
    int start_pipe;      /* while STARTING: ends when the program runs, carries a struct start_failure when it does not */
    int line;            /* the slot of the line whose child it is */
    unsigned supervisor; /* which one of that line asked for it: only that one gets SPAWNED or SPAWN-FAILED */
    bool forgotten;      /* to be dropped when it exits */
    bool reaped;
    bool owes_start, owes_exit; /* is in the queue of what the supervisor is to be told */
    bool queued;
    int next; /* in that queue, or among the free */
    char stage[12];
    int error;
    bool by_signal;
    int number; /* exit code or signal */
    int64_t user_us, system_us, max_rss_kib, exited_at;
    char id[ORDER_LONGEST_ID + 1];
};

bool children_full(void);

/* A new slot in STARTING for an id that is not in use; CHILD_NONE when the table is full. */
int children_add(const char *id, pid_t pid, int start_pipe, int line, unsigned supervisor);
void children_remove(int slot);

struct child *children_at(int slot);
int children_by_id(const char *id);
int children_by_pid(pid_t pid);

/* The child whose pid names the session or process group `id`: a living one, or one that has ended and left others there. */
int children_by_session(pid_t id);

/* One more than the highest slot ever taken: slots to walk over. */
int children_end(void);

/* True when a child that is not reaped leads `session`, other than the one in `except`. */
bool children_lead(pid_t session, int except);
/* How many of a line are not reaped. */
int children_alive(int line);

/* The line is over: nothing of it is known any more. What still lives will be an orphan. */
void children_drop_all(int line);

void children_set_exit(struct child *child, int status, const struct rusage *usage, int64_t now);
/* Marks reaped: its pid means nothing any more. */
void children_mark_reaped(int slot);

/* What the supervisor of a line is to be told, first in first out. */
void children_owe(int slot);
int children_first_owing(int line);
void children_drop_first_owing(int line);
/* Nobody is there to be told: a later supervisor reads the table. */
void children_owe_nothing(int line);

void children_visit(struct state *state, struct child *child);
/* An empty child of a line in a slot that was free, to be visited; NULL when it is not free. */
struct child *children_restore(int slot, int line);
/* It is complete; and all are. */
void children_restored(int slot);
void children_restored_all(void);

#endif
