#define _GNU_SOURCE
#include "snapshot.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "children.h"
#include "daemon.h"
#include "early.h"
#include "greeting.h"
#include "held.h"
#include "line.h"
#include "replace.h"
#include "say.h"
#include "spawn.h"
#include "state.h"
#include "supervise.h"
#include "version.h"

/*
 * STATE   once, first: of what version this is
 * INIT    once: what is no line's
 * LINE    each line; before all that belongs to it
 * SIGNAL  each that waits, in order
 * CHILD   each child
 * OWE     each child that its supervisor is to be told of, in order
 * HELD    each held descriptor
 */

static void visit_version(struct state *state, int64_t *version)
{
    STATE_NUMBER(state, "version", *version, 0, INT32_MAX);
}

static void visit_init(struct state *state)
{
    early_visit(state);
    say_visit(state);
    spawn_visit(state);
    daemon_visit(state);
    greeting_visit(state);
    report_visit_all(state);
    stop_visit_all(state);
    line_visit_all(state);
    replace_visit(state);
    supervise_visit(state);
}

static void visit_child(struct state *state, int slot)
{
    int64_t line = line_at(children_at(slot)->line)->number;
    state_begin_record(state, "CHILD");
    STATE_NUMBER(state, "slot", slot, 0, CHILD_MOST - 1);
    STATE_NUMBER(state, "line", line, 1, INT32_MAX);
    children_visit(state, children_at(slot));
    state_end_record(state);
}

static void visit_owing(struct state *state, const struct line *line)
{
    for (int slot = children_first_owing(line_slot(line)); slot != CHILD_NONE; slot = children_at(slot)->next) {
        state_begin_record(state, "OWE");
        STATE_NUMBER(state, "slot", slot, 0, CHILD_MOST - 1);
        state_end_record(state);
    }
}

static void visit_signals(struct state *state, struct line *line)
{
    for (int at = 0; at < line->inbox.count; at++) {
        state_begin_record(state, "SIGNAL");
        STATE_NUMBER(state, "line", line->number, 1, INT32_MAX);
        inbox_visit(state, &line->inbox.queue[at]);
        state_end_record(state);
    }
}

static void visit_held(struct state *state, const struct line *line)
{
    int64_t number = line->number;
    for (int slot = 0; slot < held_end(line_slot(line)); slot++) {
        if (held_at(line_slot(line), slot).fd < 0)
            continue;
        state_begin_record(state, "HELD");
        STATE_NUMBER(state, "line", number, 1, INT32_MAX);
        STATE_NUMBER(state, "slot", slot, 0, HELD_MOST - 1);
        held_visit(state, line_slot(line), slot);
        state_end_record(state);
    }
}

/* In the order in which they are read. */
static void visit_all(struct state *state)
{
    int64_t version = STATE_VERSION;
    state_begin_record(state, "STATE");
    visit_version(state, &version);
    state_end_record(state);
    state_begin_record(state, "INIT");
    visit_init(state);
    state_end_record(state);
    for (int slot = 0; slot < LINE_MOST; slot++) {
        if (line_at(slot)->state == LINE_FREE)
            continue;
        state_begin_record(state, "LINE");
        STATE_NUMBER(state, "slot", slot, 0, LINE_MOST - 1);
        line_visit(state, line_at(slot));
        state_end_record(state);
    }
    for (int slot = 0; slot < children_end(); slot++)
        if (children_at(slot)->state != CHILD_FREE)
            visit_child(state, slot);
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line)) {
        visit_signals(state, line);
        visit_owing(state, line);
        visit_held(state, line);
    }
}

int snapshot_make(void)
{
    struct state state;
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        if (!supervisor_keep_program(&line->supervisor))
            return -1;
    int fd = memfd_create("pingora-entry-init", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    state_begin_write(&state, fd);
    visit_all(&state);
    state_flush(&state);
    if (state.error == 0)
        return fd;
    close(fd);
    errno = state.error;
    return -1;
}

bool snapshot_let_through(void)
{
    struct state state;
    state_begin_let_through(&state);
    visit_all(&state);
    errno = state.error;
    return state.error == 0;
}

static bool read_line(struct state *state)
{
    int slot = -1;
    STATE_NUMBER(state, "slot", slot, 0, LINE_MOST - 1);
    struct line *line = slot < 0 ? NULL : line_restore(slot);
    if (line != NULL)
        line_visit(state, line);
    return line != NULL;
}

static struct line *read_owner(struct state *state)
{
    int64_t number = 0;
    STATE_NUMBER(state, "line", number, 1, INT32_MAX);
    return line_by_number(number);
}

static bool read_signal(struct state *state)
{
    struct line *line = read_owner(state);
    struct waiting *waiting = line == NULL ? NULL : inbox_restore(&line->inbox);
    if (waiting != NULL)
        inbox_visit(state, waiting);
    return waiting != NULL;
}

static bool read_child(struct state *state)
{
    struct line *line = read_owner(state);
    int slot = CHILD_NONE;
    STATE_NUMBER(state, "slot", slot, 0, CHILD_MOST - 1);
    struct child *child = line == NULL || slot == CHILD_NONE ? NULL : children_restore(slot, line_slot(line));
    if (child == NULL)
        return false;
    children_visit(state, child);
    children_restored(slot);
    return child->pid > 0 && (child->state != CHILD_STARTING || child->start_pipe >= 0);
}

static bool read_owing(struct state *state)
{
    int slot = CHILD_NONE;
    STATE_NUMBER(state, "slot", slot, 0, CHILD_MOST - 1);
    if (slot == CHILD_NONE || slot >= children_end() || children_at(slot)->state == CHILD_FREE)
        return false;
    children_owe(slot);
    return true;
}

static bool read_held(struct state *state)
{
    struct line *line = read_owner(state);
    int slot = -1;
    STATE_NUMBER(state, "slot", slot, 0, HELD_MOST - 1);
    if (line == NULL || slot < 0 || !held_restore(line_slot(line), slot))
        return false;
    held_visit(state, line_slot(line), slot);
    return held_at(line_slot(line), slot).fd >= 0;
}

static bool read_init(struct state *state)
{
    visit_init(state);
    return true;
}

static const struct {
    const char *verb;
    bool (*read)(struct state *state);
} records[] = {
    {"INIT", read_init},   {"LINE", read_line}, {"SIGNAL", read_signal},
    {"CHILD", read_child}, {"OWE", read_owing}, {"HELD", read_held},
};

/* False: it does not fit to what was read before it. */
static bool read_record(struct state *state, const char *verb)
{
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        if (strcmp(verb, records[i].verb) == 0)
            return records[i].read(state);
    return true;
}

static bool is_version_known(struct state *state)
{
    const char *verb = state_next(state);
    int64_t version = -1;
    if (verb == NULL || strcmp(verb, "STATE") != 0)
        return false;
    visit_version(state, &version);
    return version >= STATE_LEAST_VERSION && version <= STATE_VERSION;
}

const char *snapshot_read(const char *bytes, size_t length)
{
    struct state state;
    if (!state_begin_read(&state, bytes, length) || !is_version_known(&state))
        return "its version";
    for (const char *verb; (verb = state_next(&state)) != NULL;)
        if (!read_record(&state, verb))
            return verb;
    children_restored_all();
    return state.wrong != NULL ? state.wrong : line_restored_all() ? NULL : "LINE";
}

const char *snapshot_read_file(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_size <= 0)
        return "its length";
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return "its memory";
    const char *wrong = snapshot_read(bytes, (size_t)status.st_size);
    /* what is wrong may point into it */
    if (wrong == NULL)
        munmap(bytes, (size_t)status.st_size);
    return wrong;
}
