#define _GNU_SOURCE
#include "report.h"

#include <string.h>

#include "channel.h"
#include "children.h"
#include "greeting.h"
#include "inbox.h"
#include "line.h"
#include "number.h"
#include "state.h"

enum { SHORTAGE_PAUSE_MS = 20, REAPED_PAUSE_MS = 100 };

static int64_t orphans;

void report_begin(struct report *report)
{
    report->retry_at = INT64_MAX;
}

/* Whoever is told of the other lines by SYNC needs no ENDED, and a line that has no supervisor to be told has none to wait for. */
static void forget_lines_over(const struct line *line)
{
    if (line_is_primary(line))
        for (struct line *over; (over = line_first_over()) != NULL;)
            line_forget(over);
}

void report_hello(struct line *line, unsigned restarts)
{
    struct report *report = &line->report;
    report->restarts = restarts;
    report->ever_greeted = true;
    report->step = WELCOME;
    report->sync_at = 0;
    report->ready = false;
    report->orphans_told = report->orphans_next = 0; /* to the one before */
    inbox_send_again(&line->inbox);
    children_owe_nothing(line_slot(line));
    forget_lines_over(line);
}

void report_lost(struct line *line)
{
    struct report *report = &line->report;
    report->step = SILENT;
    report->ready = report->answer_waits = false;
    for (int kind = 0; kind < LATE_KINDS; kind++)
        report->late_waits[kind] = false;
    report->retry_at = INT64_MAX;
    inbox_send_again(&line->inbox);
    children_owe_nothing(line_slot(line));
    forget_lines_over(line);
}

bool report_has_greeted(const struct line *line)
{
    return line->report.step != SILENT;
}

void report_ready(struct line *line)
{
    line->report.ready = true;
}

bool report_is_ready(const struct line *line)
{
    return line->report.ready;
}

static void copy(struct frame_text *to, const struct frame_text *from)
{
    to->length = from->length;
    memcpy(to->bytes, from->bytes, from->length);
}

void report_answer(struct line *line, const struct frame_text *text)
{
    copy(&line->report.answer, text);
    line->report.answer_waits = true;
}

void report_answer_later(struct line *line, unsigned restarts, enum report_late kind, const struct frame_text *text)
{
    if (!report_has_greeted(line) || line->report.restarts != restarts)
        return;
    copy(&line->report.late[kind], text);
    line->report.late_waits[kind] = true;
}

void report_orphan(void)
{
    orphans++;
}

bool report_is_busy(const struct line *line)
{
    return line->report.answer_waits || (line->report.step != SILENT && line->report.step != GREETED);
}

static enum channel_sent send_answer(struct line *line)
{
    enum channel_sent sent = channel_send(line->channel, &line->report.answer, -1);
    if (sent == CHANNEL_SENT)
        line->report.answer_waits = false;
    return sent;
}

static enum channel_sent send_start(struct line *line, struct child *child)
{
    struct frame_text text;
    bool failed = child->state == CHILD_FAILED;
    frame_begin(&text, failed ? "SPAWN-FAILED" : "SPAWNED");
    frame_add(&text, child->id);
    if (failed)
        frame_add(&text, child->stage);
    frame_add_number(&text, failed ? child->error : child->pid);
    enum channel_sent sent = channel_send(line->channel, &text, -1);
    if (sent == CHANNEL_SENT)
        child->owes_start = false;
    return sent;
}

static enum channel_sent send_exit(struct line *line, struct child *child)
{
    struct frame_text text;
    frame_begin(&text, "EXITED");
    frame_add(&text, child->id);
    frame_add_number(&text, child->pid);
    greeting_add_exit(&text, child);
    enum channel_sent sent = channel_send(line->channel, &text, -1);
    if (sent == CHANNEL_SENT)
        child->owes_exit = false;
    return sent;
}

static enum channel_sent tell_child(struct line *line, int slot)
{
    struct child *child = children_at(slot);
    enum channel_sent sent = CHANNEL_SENT;
    if (child->owes_start)
        sent = send_start(line, child);
    if (sent == CHANNEL_SENT && child->owes_exit)
        sent = send_exit(line, child);
    if (sent != CHANNEL_SENT)
        return sent;
    children_drop_first_owing(line_slot(line));
    if (child->reaped && (child->state == CHILD_FAILED || child->forgotten))
        children_remove(slot);
    return sent;
}

static enum channel_sent tell_signal(struct line *line, struct waiting *waiting, int64_t now)
{
    struct frame_text text;
    frame_begin(&text, "SIGNAL");
    frame_add_number(&text, waiting->sequence);
    frame_add_number(&text, waiting->number);
    frame_add_number(&text, waiting->sender);
    frame_add_number(&text, waiting->sender_user);
    enum channel_sent sent = channel_send(line->channel, &text, -1);
    if (sent == CHANNEL_SENT)
        waiting->sent_at = now;
    return sent;
}

static enum channel_sent tell_orphans(struct line *line, int64_t now)
{
    struct frame_text text;
    frame_begin(&text, "REAPED");
    frame_add_number(&text, orphans);
    enum channel_sent sent = channel_send(line->channel, &text, -1);
    if (sent == CHANNEL_SENT) {
        line->report.orphans_told = orphans;
        line->report.orphans_next = now + REAPED_PAUSE_MS;
    }
    return sent;
}

static enum channel_sent tell_line_over(struct line *line, struct line *over)
{
    struct frame_text text;
    frame_begin(&text, "ENDED");
    frame_add_number(&text, over->number);
    frame_add(&text, over->stop.by_signal ? "signal" : "code");
    frame_add_number(&text, over->stop.result);
    enum channel_sent sent = channel_send(line->channel, &text, -1);
    if (sent == CHANNEL_SENT)
        line_forget(over);
    return sent;
}

static bool send_late(struct line *line, enum channel_sent *sent)
{
    for (int kind = 0; kind < LATE_KINDS; kind++) {
        if (!line->report.late_waits[kind])
            continue;
        *sent = channel_send(line->channel, &line->report.late[kind], -1);
        if (*sent == CHANNEL_SENT)
            line->report.late_waits[kind] = false;
        return true;
    }
    return false;
}

/* The most urgent frame that there is; false when there is none. */
static bool send_one(struct line *line, int64_t now, enum channel_sent *sent)
{
    struct report *report = &line->report;
    struct waiting *waiting;
    struct line *over;
    int owing;
    if (report->answer_waits)
        *sent = send_answer(line);
    else if (report->step != SILENT && report->step != GREETED)
        *sent = greeting_send(line);
    else if (report->step == SILENT)
        return false;
    else if (send_late(line, sent))
        return true;
    else if ((owing = children_first_owing(line_slot(line))) != CHILD_NONE)
        *sent = tell_child(line, owing);
    else if (report->ready && (waiting = inbox_next(&line->inbox)) != NULL)
        *sent = tell_signal(line, waiting, now);
    else if (line_is_primary(line) && (over = line_first_over()) != NULL)
        *sent = tell_line_over(line, over);
    else if (orphans != report->orphans_told && now >= report->orphans_next)
        *sent = tell_orphans(line, now);
    else
        return false;
    return true;
}

bool report_flush(struct line *line, int64_t now)
{
    struct report *report = &line->report;
    report->retry_at = INT64_MAX;
    report->is_blocked = false;
    for (;;) {
        enum channel_sent sent;
        if (!send_one(line, now, &sent))
            return false;
        if (sent == CHANNEL_GONE) {
            /* nobody reads any more: what it has written, and its end, must still be read */
            report->answer_waits = false;
            if (report->step != SILENT)
                report->step = GREETED;
            report->is_blocked = true;
            return false;
        }
        if (sent == CHANNEL_FULL) {
            report->is_blocked = true;
            return true;
        }
        if (sent == CHANNEL_SHORT) {
            report->retry_at = now + SHORTAGE_PAUSE_MS;
            return false;
        }
    }
}

int64_t report_deadline(const struct line *line)
{
    const struct report *report = &line->report;
    if (report->retry_at != INT64_MAX || report->is_blocked || report->step != GREETED || orphans == report->orphans_told)
        return report->retry_at;
    return report->orphans_next;
}

static void visit_answer(struct state *state, const char *key, bool *waits, struct frame_text *text)
{
    if (*waits || state->mode == STATE_READ)
        state_frame(state, key, text);
    if (state->mode == STATE_READ)
        *waits = text->length > 0;
}

void report_visit(struct state *state, struct report *report)
{
    STATE_NUMBER(state, "step", report->step, SILENT, GREETED);
    STATE_NUMBER(state, "sync-at", report->sync_at, 0, INT32_MAX - 1);
    STATE_NUMBER(state, "restarts", report->restarts, 0, UINT32_MAX);
    STATE_FLAG(state, "ready", report->ready);
    STATE_FLAG(state, "ever-greeted", report->ever_greeted);
    STATE_AMOUNT(state, "orphans-told", report->orphans_told);
    STATE_AMOUNT(state, "orphans-next", report->orphans_next);
    visit_answer(state, "answer", &report->answer_waits, &report->answer);
    visit_answer(state, "answer-successor", &report->late_waits[LATE_SUCCESSOR], &report->late[LATE_SUCCESSOR]);
    visit_answer(state, "answer-replace", &report->late_waits[LATE_REPLACE], &report->late[LATE_REPLACE]);
}

void report_visit_all(struct state *state)
{
    STATE_AMOUNT(state, "orphans", orphans);
}
