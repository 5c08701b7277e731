#ifndef PINGORA_ENTRY_PROC_H
#define PINGORA_ENTRY_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One line of the process table: what /proc/PID/stat says. */
struct process {
    pid_t pid;
    char state; /* 'Z' and 'X' are dead already */
    pid_t parent;
    pid_t group;
    pid_t session;
};

/* The process table, one process after the other, without this process. One walk at a time. */
struct proc_walk {
    int directory;
    int at, filled;
};

/* False when there is no readable /proc, or it is that of another PID namespace. */
bool proc_begin(struct proc_walk *walk);
bool proc_next(struct proc_walk *walk, struct process *process);
void proc_end(struct proc_walk *walk);

/* False when it is gone, and without a /proc of ours. */
bool proc_read(pid_t pid, struct process *process);

/* The environment that `pid` was started with has the element `mark` ("NAME=value"). False when it may not be read. */
bool proc_has_mark(pid_t pid, const char *mark);

/* The value of NAME in the environment that `pid` was started with. False when it has none that fits, or may not be read. */
bool proc_read_variable(pid_t pid, const char *name, char *value, size_t size);

#endif
