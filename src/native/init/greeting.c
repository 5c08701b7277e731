#define _GNU_SOURCE
#include "greeting.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "children.h"
#include "held.h"
#include "line.h"
#include "number.h"
#include "report.h"
#include "state.h"

enum { PROTOCOL_VERSION = 1 };

static bool is_pid1;
static char boot_id[33];

void greeting_init(bool pid1)
{
    unsigned char random[16];
    is_pid1 = pid1;
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        /* a machine seconds old: unlike any other of its boot will do */
        int64_t seed = number_now() * 65536 + getpid();
        memcpy(random, &seed, sizeof seed);
        memcpy(random + 8, &seed, sizeof seed);
    }
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(boot_id + 2 * i, 3, "%02x", random[i]);
}

void greeting_add_exit(struct frame_text *text, const struct child *child)
{
    frame_add(text, child->by_signal ? "signal" : "code");
    frame_add_number(text, child->number);
    frame_add_number(text, child->user_us);
    frame_add_number(text, child->system_us);
    frame_add_number(text, child->max_rss_kib);
    frame_add_number(text, child->exited_at);
}

static enum channel_sent send_welcome(struct line *line)
{
    struct frame_text text;
    frame_begin(&text, "WELCOME");
    frame_add_number(&text, PROTOCOL_VERSION);
    frame_add_number(&text, getpid());
    frame_add(&text, is_pid1 ? "1" : "0");
    frame_add(&text, boot_id);
    frame_add_number(&text, line->report.restarts);
    frame_add_number(&text, line->number);
    frame_add(&text, line_is_primary(line) ? "1" : "0");
    return channel_send(line->channel, &text, -1);
}

static enum channel_sent send_sync_child(struct line *line, struct child *child)
{
    struct frame_text text;
    frame_begin(&text, "SYNC");
    frame_add(&text, "child");
    frame_add(&text, child->id);
    frame_add_number(&text, child->pid);
    frame_add(&text, child->state == CHILD_EXITED ? "exited" : "running");
    if (child->state == CHILD_EXITED)
        greeting_add_exit(&text, child);
    enum channel_sent sent = channel_send(line->channel, &text, -1);
    if (sent == CHANNEL_SENT && child->state == CHILD_EXITED)
        child->owes_exit = false; /* told hereby, should it have ended since HELLO */
    return sent;
}

static enum channel_sent send_sync_held(struct line *line, const struct held *held)
{
    struct frame_text text;
    frame_begin(&text, "SYNC");
    frame_add(&text, held->kind == HELD_STATE ? "state" : "held");
    frame_add(&text, held->name);
    return channel_send(line->channel, &text, held->fd);
}

static enum channel_sent send_sync_line(struct line *line, const struct line *other)
{
    struct frame_text text;
    frame_begin(&text, "SYNC");
    frame_add(&text, "line");
    frame_add_number(&text, other->number);
    frame_add_number(&text, other->supervisor.pid);
    return channel_send(line->channel, &text, -1);
}

/* What `step` has in the slot `at`, or nothing when that is free. False when there are no more slots. */
static bool sync_one(struct line *line, enum report_step step, int at, enum channel_sent *sent)
{
    int slot = line_slot(line);
    *sent = CHANNEL_SENT;
    if (step == SYNC_CHILDREN) {
        if (at >= children_end())
            return false;
        struct child *child = children_at(at);
        if (child->state != CHILD_FREE && child->state != CHILD_FAILED && child->line == slot)
            *sent = send_sync_child(line, child);
    } else if (step == SYNC_HELD) {
        if (at >= held_end(slot))
            return false;
        struct held held = held_at(slot, at);
        if (held.fd >= 0)
            *sent = send_sync_held(line, &held);
    } else {
        if (at >= LINE_MOST)
            return false;
        const struct line *other = line_at(at);
        if (other->state == LINE_ALIVE && other != line)
            *sent = send_sync_line(line, other);
    }
    return true;
}

enum channel_sent greeting_send(struct line *line)
{
    struct report *report = &line->report;
    struct frame_text text;
    enum channel_sent sent = CHANNEL_SENT;
    if (report->step == WELCOME) {
        sent = send_welcome(line);
        if (sent == CHANNEL_SENT)
            report->step = SYNC_CHILDREN;
    } else if (report->step == SYNCED) {
        frame_begin(&text, "SYNCED");
        sent = channel_send(line->channel, &text, -1);
        if (sent == CHANNEL_SENT)
            report->step = GREETED;
    } else if (!sync_one(line, report->step, report->sync_at, &sent)) {
        report->step++;
        report->sync_at = 0;
    } else if (sent == CHANNEL_SENT) {
        report->sync_at++;
    }
    return sent;
}

void greeting_visit(struct state *state)
{
    state_text(state, "boot", boot_id, sizeof boot_id);
}
