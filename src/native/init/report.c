#define _GNU_SOURCE
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "channel.h"
#include "children.h"
#include "held.h"
#include "inbox.h"
#include "number.h"

enum { PROTOCOL_VERSION = 1, SHORTAGE_PAUSE_MS = 20, REAPED_PAUSE_MS = 100 };
enum step { SILENT, WELCOME, SYNC_CHILDREN, SYNC_HELD, SYNCED, GREETED };

static bool is_pid1;
static char boot_id[33];
static enum step step;
static int sync_at;
static unsigned supervisor;
static bool ready, ever_greeted;
static struct frame_text answer;
static bool answer_waits;
static int64_t orphans, orphans_told, orphans_next;
static int64_t retry_at = INT64_MAX;
static bool is_blocked; /* the socket tells when there is room, or that it has ended */

void report_init(bool pid1)
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

void report_hello(unsigned restarts)
{
    supervisor = restarts;
    ever_greeted = true;
    step = WELCOME;
    sync_at = 0;
    ready = false;
    inbox_send_again();
    children_owe_nothing();
}

void report_lost(void)
{
    step = SILENT;
    ready = answer_waits = false;
    retry_at = INT64_MAX;
    inbox_send_again();
    children_owe_nothing();
}

bool report_has_greeted(void)
{
    return step != SILENT;
}

bool report_has_ever_greeted(void)
{
    return ever_greeted;
}

void report_ready(void)
{
    ready = true;
}

bool report_is_ready(void)
{
    return ready;
}

void report_answer(const struct frame_text *text)
{
    answer.length = text->length;
    memcpy(answer.bytes, text->bytes, text->length);
    answer_waits = true;
}

void report_orphan(void)
{
    orphans++;
}

bool report_is_busy(void)
{
    return answer_waits || (step != SILENT && step != GREETED);
}

static void add_exit(struct frame_text *text, const struct child *child)
{
    frame_add(text, child->by_signal ? "signal" : "code");
    frame_add_number(text, child->number);
    frame_add_number(text, child->user_us);
    frame_add_number(text, child->system_us);
    frame_add_number(text, child->max_rss_kib);
    frame_add_number(text, child->exited_at);
}

static enum channel_sent send_answer(void)
{
    enum channel_sent sent = channel_send(&answer, -1);
    if (sent == CHANNEL_SENT)
        answer_waits = false;
    return sent;
}

static enum channel_sent send_welcome(void)
{
    struct frame_text text;
    frame_begin(&text, "WELCOME");
    frame_add_number(&text, PROTOCOL_VERSION);
    frame_add_number(&text, getpid());
    frame_add(&text, is_pid1 ? "1" : "0");
    frame_add(&text, boot_id);
    frame_add_number(&text, supervisor);
    return channel_send(&text, -1);
}

static enum channel_sent send_sync_child(struct child *child)
{
    struct frame_text text;
    frame_begin(&text, "SYNC");
    frame_add(&text, "child");
    frame_add(&text, child->id);
    frame_add_number(&text, child->pid);
    frame_add(&text, child->state == CHILD_EXITED ? "exited" : "running");
    if (child->state == CHILD_EXITED)
        add_exit(&text, child);
    enum channel_sent sent = channel_send(&text, -1);
    if (sent == CHANNEL_SENT && child->state == CHILD_EXITED)
        child->owes_exit = false; /* told hereby, should it have ended since HELLO */
    return sent;
}

static enum channel_sent send_sync_held(const struct held *held)
{
    struct frame_text text;
    frame_begin(&text, "SYNC");
    frame_add(&text, held->kind == HELD_STATE ? "state" : "held");
    frame_add(&text, held->name);
    return channel_send(&text, held->fd);
}

/* One frame of the greeting, or none when there is nothing in this slot. */
static enum channel_sent greet(void)
{
    enum channel_sent sent = CHANNEL_SENT;
    struct frame_text text;
    if (step == WELCOME) {
        sent = send_welcome();
        if (sent == CHANNEL_SENT)
            step = SYNC_CHILDREN;
    } else if (step == SYNC_CHILDREN && sync_at < children_end()) {
        struct child *child = children_at(sync_at);
        if (child->state != CHILD_FREE && child->state != CHILD_FAILED)
            sent = send_sync_child(child);
        if (sent == CHANNEL_SENT)
            sync_at++;
    } else if (step == SYNC_CHILDREN) {
        step = SYNC_HELD;
        sync_at = 0;
    } else if (step == SYNC_HELD && sync_at < held_end()) {
        struct held held = held_at(sync_at);
        if (held.fd >= 0)
            sent = send_sync_held(&held);
        if (sent == CHANNEL_SENT)
            sync_at++;
    } else if (step == SYNC_HELD) {
        step = SYNCED;
    } else {
        frame_begin(&text, "SYNCED");
        sent = channel_send(&text, -1);
        if (sent == CHANNEL_SENT)
            step = GREETED;
    }
    return sent;
}

static enum channel_sent send_start(struct child *child)
{
    struct frame_text text;
    bool failed = child->state == CHILD_FAILED;
    frame_begin(&text, failed ? "SPAWN-FAILED" : "SPAWNED");
    frame_add(&text, child->id);
    if (failed)
        frame_add(&text, child->stage);
    frame_add_number(&text, failed ? child->error : child->pid);
    enum channel_sent sent = channel_send(&text, -1);
    if (sent == CHANNEL_SENT)
        child->owes_start = false;
    return sent;
}

static enum channel_sent send_exit(struct child *child)
{
    struct frame_text text;
    frame_begin(&text, "EXITED");
    frame_add(&text, child->id);
    frame_add_number(&text, child->pid);
    add_exit(&text, child);
    enum channel_sent sent = channel_send(&text, -1);
    if (sent == CHANNEL_SENT)
        child->owes_exit = false;
    return sent;
}

static enum channel_sent tell_child(int slot)
{
    struct child *child = children_at(slot);
    enum channel_sent sent = CHANNEL_SENT;
    if (child->owes_start)
        sent = send_start(child);
    if (sent == CHANNEL_SENT && child->owes_exit)
        sent = send_exit(child);
    if (sent != CHANNEL_SENT)
        return sent;
    children_drop_first_owing();
    if (child->reaped && (child->state == CHILD_FAILED || child->forgotten))
        children_remove(slot);
    return sent;
}

static enum channel_sent tell_signal(struct waiting *waiting, int64_t now)
{
    struct frame_text text;
    frame_begin(&text, "SIGNAL");
    frame_add_number(&text, waiting->sequence);
    frame_add_number(&text, waiting->number);
    frame_add_number(&text, waiting->sender);
    frame_add_number(&text, waiting->sender_user);
    enum channel_sent sent = channel_send(&text, -1);
    if (sent == CHANNEL_SENT)
        waiting->sent_at = now;
    return sent;
}

static enum channel_sent tell_orphans(int64_t now)
{
    struct frame_text text;
    frame_begin(&text, "REAPED");
    frame_add_number(&text, orphans);
    enum channel_sent sent = channel_send(&text, -1);
    if (sent == CHANNEL_SENT) {
        orphans_told = orphans;
        orphans_next = now + REAPED_PAUSE_MS;
    }
    return sent;
}

/* The most urgent frame that there is; false when there is none. */
static bool send_one(int64_t now, enum channel_sent *sent)
{
    struct waiting *waiting;
    int owing;
    if (answer_waits)
        *sent = send_answer();
    else if (step != SILENT && step != GREETED)
        *sent = greet();
    else if (step == SILENT)
        return false;
    else if ((owing = children_first_owing()) != CHILD_NONE)
        *sent = tell_child(owing);
    else if (ready && (waiting = inbox_next()) != NULL)
        *sent = tell_signal(waiting, now);
    else if (orphans != orphans_told && now >= orphans_next)
        *sent = tell_orphans(now);
    else
        return false;
    return true;
}

bool report_flush(int64_t now)
{
    retry_at = INT64_MAX;
    is_blocked = false;
    for (;;) {
        enum channel_sent sent;
        if (!send_one(now, &sent))
            return false;
        if (sent == CHANNEL_GONE) {
            /* nobody reads any more: what it has written, and its end, must still be read */
            answer_waits = false;
            if (step != SILENT)
                step = GREETED;
            is_blocked = true;
            return false;
        }
        if (sent == CHANNEL_FULL) {
            is_blocked = true;
            return true;
        }
        if (sent == CHANNEL_SHORT) {
            retry_at = now + SHORTAGE_PAUSE_MS;
            return false;
        }
    }
}

int64_t report_deadline(void)
{
    if (retry_at != INT64_MAX || is_blocked || step != GREETED || orphans == orphans_told)
        return retry_at;
    return orphans_next;
}
