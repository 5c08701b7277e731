#ifndef PINGORA_ENTRY_CHILDREN_H
#define PINGORA_ENTRY_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "spawn_order.h"

/*
 * The child table. A slot is taken by a SPAWN, and given back when its child has ended and was forgotten.
 *
 *   FREE -> STARTING -> RUNNING -> EXITED -> FREE
 *              '-> FAILED -> FREE
 */
enum child_state { CHILD_FREE, CHILD_STARTING, CHILD_RUNNING, CHILD_EXITED, CHILD_FAILED };

enum { CHILD_MOST = 16384, CHILD_NONE = -1 };

struct child {
    enum child_state state;
    pid_t pid;
    int start_pipe;      /* while STARTING: ends when the program runs, carries a struct start_failure when it does not */
    unsigned supervisor; /* which one asked for it: only that one gets SPAWNED or SPAWN-FAILED */
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
int children_add(const char *id, pid_t pid, int start_pipe, unsigned supervisor);
void children_remove(int slot);

struct child *children_at(int slot);
int children_by_id(const char *id);
int children_by_pid(pid_t pid);

/* One more than the highest slot ever taken: slots to walk over. */
int children_end(void);

/* True when a child that is not reaped leads `session`, other than the one in `except`. */
bool children_lead(pid_t session, int except);
int children_alive(void);

void children_set_exit(struct child *child, int status, const struct rusage *usage, int64_t now);
/* Marks reaped: its pid means nothing any more. */
void children_mark_reaped(int slot);

/* What is to be told, first in first out. */
void children_owe(int slot);
int children_first_owing(void);
void children_drop_first_owing(void);
/* Nobody is there to be told: a later supervisor reads the table. */
void children_owe_nothing(void);

#endif
