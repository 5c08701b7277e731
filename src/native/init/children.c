#include "children.h"

#include <string.h>
#include <sys/wait.h>

/* Pages of slots never used are never touched, so that the table costs what it holds. */
static struct child children[CHILD_MOST];
static uint32_t hashes[CHILD_MOST];
static pid_t pids[CHILD_MOST]; /* 0 when there is none to wait for */
static int end, first_free = CHILD_NONE, alive;
static int first_owing = CHILD_NONE, last_owing = CHILD_NONE;

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

int children_add(const char *id, pid_t pid, int start_pipe, unsigned supervisor)
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
    child->supervisor = supervisor;
    child->next = CHILD_NONE;
    strncpy(child->id, id, sizeof child->id - 1);
    hashes[slot] = hash_of(id);
    pids[slot] = pid;
    alive++;
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

int children_alive(void)
{
    return alive;
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
    alive--;
}

void children_owe(int slot)
{
    if (children[slot].queued)
        return;
    children[slot].queued = true;
    children[slot].next = CHILD_NONE;
    if (last_owing == CHILD_NONE)
        first_owing = slot;
    else
        children[last_owing].next = slot;
    last_owing = slot;
}

int children_first_owing(void)
{
    return first_owing;
}

void children_drop_first_owing(void)
{
    int slot = first_owing;
    if (slot == CHILD_NONE)
        return;
    first_owing = children[slot].next;
    if (first_owing == CHILD_NONE)
        last_owing = CHILD_NONE;
    children[slot].queued = false;
    children[slot].next = CHILD_NONE;
}

void children_owe_nothing(void)
{
    while (first_owing != CHILD_NONE) {
        struct child *child = &children[first_owing];
        int slot = first_owing;
        child->owes_start = child->owes_exit = false;
        children_drop_first_owing();
        if (child->state == CHILD_FAILED && child->reaped)
            children_remove(slot);
    }
}
