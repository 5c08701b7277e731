#include "children.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "line.h"
#include "proc.h"
#include "state.h"

/* Pages of slots never used are never touched, so that the table costs what it holds. */
static struct child children[CHILD_MOST];
static uint32_t hashes[CHILD_MOST];
static pid_t pids[CHILD_MOST]; /* 0 when there is none to wait for */
static int end, first_free = CHILD_NONE;

static struct {
    int alive;
    int owing; /* how many are in the queue of what its supervisor is to be told */
    int first, last;
} of_line[LINE_MOST];

static uint32_t hash_of(const char *id)
{
    uint32_t hash = 2166136261u;
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return hash;
}

bool children_full(void)
{
    return first_free == CHILD_NONE && end == CHILD_MOST;
}

int children_add(const char *id, pid_t pid, int start_pipe, int line, unsigned supervisor)
{
    int slot = first_free;
    if (slot != CHILD_NONE)
        first_free = children[slot].next;
    else if (end < CHILD_MOST)
        slot = end++;
    else
        return CHILD_NONE;
    struct child *child = &children[slot];
    memset(child, 0, sizeof *child);
    child->state = CHILD_STARTING;
    child->pid = pid;
    child->start_pipe = start_pipe;
    child->line = line;
    child->supervisor = supervisor;
    child->next = CHILD_NONE;
    strncpy(child->id, id, sizeof child->id - 1);
    hashes[slot] = hash_of(id);
    pids[slot] = pid;
    of_line[line].alive++;
    return slot;
}

void children_remove(int slot)
{
    children[slot].state = CHILD_FREE;
    children[slot].next = first_free;
    first_free = slot;
}

struct child *children_at(int slot)
{
    return &children[slot];
}

int children_by_id(const char *id)
{
    uint32_t hash = hash_of(id);
    for (int slot = 0; slot < end; slot++)
        if (hashes[slot] == hash && children[slot].state != CHILD_FREE && strcmp(children[slot].id, id) == 0)
            return slot;
    return CHILD_NONE;
}

int children_by_pid(pid_t pid)
{
    for (int slot = 0; slot < end; slot++)
        if (pids[slot] == pid)
            return slot;
    return CHILD_NONE;
}

int children_by_session(pid_t id)
{
    struct process process;
    if (id <= 0) /* of another namespace */
        return CHILD_NONE;
    int slot = children_by_pid(id);
    if (slot != CHILD_NONE)
        return slot;
    for (slot = 0; slot < end; slot++)
        /* a living process with the pid of a reaped child is another one, and so is its session */
        if (children[slot].pid == id && children[slot].state != CHILD_FREE && children[slot].reaped && !proc_read(id, &process))
            return slot;
    return CHILD_NONE;
}

int children_end(void)
{
    return end;
}

bool children_lead(pid_t session, int except)
{
    for (int slot = 0; slot < end; slot++)
        if (pids[slot] == session && slot != except)
            return true;
    return false;
}

int children_alive(int line)
{
    return of_line[line].alive;
}

void children_set_exit(struct child *child, int status, const struct rusage *usage, int64_t now)
{
    child->by_signal = WIFSIGNALED(status);
    child->number = child->by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
    child->user_us = (int64_t)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec;
    child->system_us = (int64_t)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec;
    child->max_rss_kib = usage->ru_maxrss;
    child->exited_at = now;
}

void children_mark_reaped(int slot)
{
    children[slot].reaped = true;
    pids[slot] = 0;
    of_line[children[slot].line].alive--;
}

void children_owe(int slot)
{
    int line = children[slot].line;
    if (children[slot].queued)
        return;
    children[slot].queued = true;
    children[slot].next = CHILD_NONE;
    if (of_line[line].owing++ == 0)
        of_line[line].first = slot;
    else
        children[of_line[line].last].next = slot;
    of_line[line].last = slot;
}

int children_first_owing(int line)
{
    return of_line[line].owing == 0 ? CHILD_NONE : of_line[line].first;
}

void children_drop_first_owing(int line)
{
    int slot = children_first_owing(line);
    if (slot == CHILD_NONE)
        return;
    of_line[line].first = children[slot].next;
    of_line[line].owing--;
    children[slot].queued = false;
    children[slot].next = CHILD_NONE;
}

void children_owe_nothing(int line)
{
    for (int slot; (slot = children_first_owing(line)) != CHILD_NONE;) {
        struct child *child = &children[slot];
        child->owes_start = child->owes_exit = false;
        children_drop_first_owing(line);
        /* one that was forgotten meanwhile was to be removed in its turn */
        if (child->reaped && (child->state == CHILD_FAILED || child->forgotten))
            children_remove(slot);
    }
}

void children_drop_all(int line)
{
    children_owe_nothing(line);
    for (int slot = 0; slot < end; slot++) {
        struct child *child = &children[slot];
        if (child->state == CHILD_FREE || child->line != line)
            continue;
        if (child->start_pipe >= 0)
            close(child->start_pipe);
        if (!child->reaped)
            children_mark_reaped(slot);
        children_remove(slot);
    }
}

void children_visit(struct state *state, struct child *child)
{
    STATE_NUMBER(state, "state", child->state, CHILD_STARTING, CHILD_FAILED);
    STATE_NUMBER(state, "pid", child->pid, 1, INT32_MAX);
    state_fd(state, "start-pipe", &child->start_pipe);
    STATE_NUMBER(state, "supervisor", child->supervisor, 0, UINT32_MAX);
    STATE_FLAG(state, "forgotten", child->forgotten);
    STATE_FLAG(state, "reaped", child->reaped);
    STATE_FLAG(state, "owes-start", child->owes_start);
    STATE_FLAG(state, "owes-exit", child->owes_exit);
    state_text(state, "stage", child->stage, sizeof child->stage);
    STATE_NUMBER(state, "error", child->error, 0, INT32_MAX);
    STATE_FLAG(state, "by-signal", child->by_signal);
    STATE_NUMBER(state, "number", child->number, 0, 255);
    STATE_AMOUNT(state, "user", child->user_us);
    STATE_AMOUNT(state, "system", child->system_us);
    STATE_AMOUNT(state, "rss", child->max_rss_kib);
    STATE_AMOUNT(state, "exited", child->exited_at);
    state_text(state, "id", child->id, sizeof child->id);
}

struct child *children_restore(int slot, int line)
{
    struct child *child = &children[slot];
    if (child->state != CHILD_FREE)
        return NULL;
    memset(child, 0, sizeof *child);
    child->state = CHILD_RUNNING;
    child->line = line;
    child->start_pipe = -1;
    child->next = CHILD_NONE;
    if (slot >= end)
        end = slot + 1;
    return child;
}

void children_restored(int slot)
{
    struct child *child = &children[slot];
    hashes[slot] = hash_of(child->id);
    pids[slot] = child->reaped ? 0 : child->pid;
    of_line[child->line].alive += !child->reaped;
}

void children_restored_all(void)
{
    first_free = CHILD_NONE;
    for (int slot = end - 1; slot >= 0; slot--)
        if (children[slot].state == CHILD_FREE)
            children_remove(slot);
}
