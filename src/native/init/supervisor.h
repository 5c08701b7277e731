#ifndef PINGORA_ENTRY_SUPERVISOR_H
#define PINGORA_ENTRY_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct line;
struct state;

/* The process of a line's supervisor: started, watched, started again. */

enum { SUPERVISOR_DEATHS = 10 };

struct supervisor {
    bool enabled;     /* false: it has started us, and is not ours to start */
    pid_t pid;        /* 0: none runs */
    int program;      /* the memfd that says what to execute, -1: what supervisor_init was given */
    unsigned started; /* how many */
    int64_t started_at, start_at, closed_at, died_at;
    int64_t stopped_at; /* by SIGSTOP and the like; INT64_MAX: it runs */
    int64_t delay_ms;
    unsigned failed_starts; /* one after the other, before there was the first supervisor */
    bool killed;
    bool was_ready; /* this one, however it ended */
    int64_t deaths[SUPERVISOR_DEATHS];
    unsigned death_count;

    /* the first one of a successor, while it is not known whether it runs its program */
    int start_pipe;           /* -1: it is known */
    bool has_failed;          /* it does not: the line is dropped when it is reaped */
    int asked_by;             /* the line that wants to know, */
    unsigned asked_by_restart; /* and which of its supervisors */
};

void supervisor_visit(struct state *state, struct supervisor *supervisor);

/* What it executes is in a memfd from now on, which another init can read, too. False: errno. */
bool supervisor_keep_program(struct supervisor *supervisor);

/* What the first line executes, again and again. The arrays stay the caller's. */
void supervisor_init(char *const arguments[], char *const environment[]);

void supervisor_begin(struct supervisor *supervisor);
void supervisor_end(struct supervisor *supervisor);

/* The first line's are started when it is time. */
void supervisor_enable(struct line *line);

/*
 * Forks one, at once. `failure_pipe`: it says there why nothing runs (struct start_failure), and closes it when its program runs; -1: it says
 * so on stderr. False: errno.
 */
bool supervisor_fork(struct line *line, int failure_pipe, int64_t now);

/* Does what is due: starts one when it is time, kills one that does not answer. `now` is also when that is. */
void supervisor_turn(struct line *line, int64_t now);

/* How often one was started after the first. */
unsigned supervisor_restarts(const struct line *line);

/* Its process has ended. What it had sent is taken in before. */
void supervisor_ended(struct line *line, int status, int64_t now);

/* A SIGCHLD came: perhaps it was stopped, or goes on. */
void supervisor_look(struct line *line, int64_t now);

/* Its end of the channel is closed; the process should end, too. */
void supervisor_closed(struct line *line, int64_t now);

/* When supervisor_turn has something to do; INT64_MAX: never. */
int64_t supervisor_deadline(const struct line *line);

#endif
