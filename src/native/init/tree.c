#define _GNU_SOURCE
#include "tree.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "line.h"
#include "number.h"
#include "proc.h"

static bool is_dead(const struct process *process)
{
    return process->state == 'Z' || process->state == 'X';
}

int tree_signal_child(int slot, int number)
{
    const struct child *child = children_at(slot);
    struct process process;
    /* until it is reaped its pid is nobody else's */
    if (child->reaped || (proc_read(child->pid, &process) && is_dead(&process)))
        return 0;
    return kill(child->pid, number) == 0 ? 1 : 0;
}

int tree_signal_group(int slot, int number)
{
    const struct child *child = children_at(slot);
    struct proc_walk walk;
    struct process process;
    int count = 0;
    if (!proc_begin(&walk))
        return kill(-child->pid, number) == 0 ? 1 : tree_signal_child(slot, number);
    while (proc_next(&walk, &process))
        count += process.group == child->pid && !is_dead(&process);
    proc_end(&walk);
    if (count == 0)
        return child->state == CHILD_STARTING ? tree_signal_child(slot, number) : 0;
    /* all at once: one that forks meanwhile does not get away */
    return number == 0 || kill(-child->pid, number) == 0 ? count : 0;
}

/* A process with another parent than the one we gave it carries the mark of another init's child, perhaps of the same id. */
static bool descends_from_us(const struct process *process, pid_t spared)
{
    pid_t us = getpid();
    struct process ancestor = *process;
    for (int depth = 0; depth < 4096; depth++) {
        if (spared != 0 && ancestor.pid == spared)
            return false;
        if (ancestor.parent == us)
            return true;
        if (ancestor.parent <= 1 || !proc_read(ancestor.parent, &ancestor))
            return false;
    }
    return false;
}

struct family {
    int slot;
    pid_t pid;
    bool by_session; /* its pid still names its session and group */
    char mark[ORDER_LONGEST_ID + 32];
};

static bool belongs(const struct family *family, const struct process *process)
{
    if (family->by_session && (process->session == family->pid || process->group == family->pid))
        return true;
    /* whoever is in the session of another child is not one that ran away from this one */
    if (children_lead(process->session, family->slot))
        return false;
    return proc_has_mark(process->pid, family->mark) && descends_from_us(process, 0);
}

static int signal_family(const struct family *family, int number)
{
    struct proc_walk walk;
    struct process process;
    int count = 0;
    if (!proc_begin(&walk))
        return family->by_session && kill(-family->pid, number) == 0 ? 1 : 0;
    while (proc_next(&walk, &process))
        if (!is_dead(&process) && belongs(family, &process) && kill(process.pid, number) == 0)
            count++;
    proc_end(&walk);
    return count;
}

int tree_signal(int slot, int number)
{
    const struct child *child = children_at(slot);
    struct family family = {.slot = slot, .pid = child->pid, .by_session = true};
    struct process process;
    snprintf(family.mark, sizeof family.mark, "PINGORA_ENTRY_ID=%s", child->id);
    /* a living process with the pid of a reaped child is another one, and so is its session */
    if (child->reaped && proc_read(child->pid, &process))
        family.by_session = false;
    int count = signal_family(&family, number);
    if (count == 0 && child->state == CHILD_STARTING)
        return tree_signal_child(slot, number);
    /* what was forked while we walked */
    if (number == SIGKILL && count > 0)
        signal_family(&family, number);
    return count;
}

/* The line whose number the id begins with, as those of every line but the first do (PROTOCOL.md). */
static const struct line *line_of_id(const char *id)
{
    char digits[24];
    const char *colon = strchr(id, ':');
    int64_t number = 1;
    if (colon != NULL && (size_t)(colon - id) < sizeof digits) {
        memcpy(digits, id, (size_t)(colon - id));
        digits[colon - id] = '\0';
        if (!number_parse(digits, 2, INT32_MAX, &number))
            number = 1;
    }
    return line_by_number(number);
}

/* What ran away from its session and lost its parent carries its id. */
static const struct line *line_by_mark(pid_t pid)
{
    char id[ORDER_LONGEST_ID + 1];
    if (!proc_read_variable(pid, "PINGORA_ENTRY_ID", id, sizeof id))
        return NULL;
    int slot = children_by_id(id);
    return slot == CHILD_NONE ? line_of_id(id) : line_at(children_at(slot)->line);
}

/* The line that a descendant of ours belongs to; NULL: of none that can be told. */
static const struct line *line_of(const struct process *process, bool *of_supervisor)
{
    pid_t us = getpid();
    struct process ancestor = *process;
    const struct line *line;
    int slot;
    *of_supervisor = false;
    for (int depth = 0; depth < 4096; depth++) {
        if ((line = line_by_supervisor(ancestor.pid)) != NULL) {
            *of_supervisor = true;
            return line;
        }
        if (ancestor.parent == us)
            break;
        if (ancestor.parent <= 1 || !proc_read(ancestor.parent, &ancestor))
            return NULL;
    }
    if ((slot = children_by_pid(ancestor.pid)) != CHILD_NONE || (slot = children_by_session(process->session)) != CHILD_NONE ||
        (slot = children_by_session(process->group)) != CHILD_NONE)
        return line_at(children_at(slot)->line);
    return line_by_mark(process->pid);
}

static bool is_meant(const struct process *process, const struct line *line, bool spare_supervisor)
{
    bool of_supervisor;
    if (is_dead(process))
        return false;
    if (line_is_only(line))
        return descends_from_us(process, spare_supervisor ? line->supervisor.pid : 0);
    return line_of(process, &of_supervisor) == line && !(spare_supervisor && of_supervisor);
}

static bool signal_group_of(pid_t leader, int number)
{
    if (kill(-leader, number) < 0)
        return false;
    if (number == SIGTERM)
        kill(-leader, SIGCONT);
    return true;
}

/* Without /proc: the groups of the children, also of those that are gone. PID 1 alone can name all there are, when nobody is to be spared. */
static int signal_unseen(const struct line *line, bool spare_supervisor, int number)
{
    pid_t supervisor = line->supervisor.pid;
    int count = 0;
    spare_supervisor = spare_supervisor && supervisor != 0;
    if (number == SIGKILL && getpid() == 1 && line_is_only(line) && !spare_supervisor)
        return kill(-1, number) == 0 ? 1 : 0;
    for (int slot = 0; slot < children_end(); slot++) {
        const struct child *child = children_at(slot);
        if (child->state == CHILD_FREE || child->line != line_slot(line))
            continue;
        /* the pid of one that is gone may be another child's by now; one that has just been forked may lead no group yet */
        if (child->reaped && children_by_pid(child->pid) != CHILD_NONE)
            continue;
        count += signal_group_of(child->pid, number) ? 1 : child->reaped ? 0 : tree_signal_child(slot, number);
    }
    if (supervisor != 0 && !spare_supervisor)
        count += signal_group_of(supervisor, number);
    return count;
}

int tree_signal_line(const struct line *line, bool spare_supervisor, int number)
{
    struct proc_walk walk;
    struct process process;
    int count = 0;
    if (!proc_begin(&walk))
        return signal_unseen(line, spare_supervisor, number);
    while (proc_next(&walk, &process)) {
        if (!is_meant(&process, line, spare_supervisor) || kill(process.pid, number) < 0)
            continue;
        count++;
        if (number == SIGTERM)
            kill(process.pid, SIGCONT); /* a stopped process would not notice */
    }
    proc_end(&walk);
    return count;
}
