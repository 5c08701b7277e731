/*
 * Everything between a datagram from the supervisor and the kernel: frames, orders, tables, signals, reports. Forking, signalling and the
 * socket are played. The input is a script: each step is an opcode, a length and, for a frame, its bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "channel.h"
#include "children.h"
#include "held.h"
#include "inbox.h"
#include "orders.h"
#include "report.h"
#include "spawn.h"
#include "spawn_order.h"
#include "stop.h"
#include "supervisor.h"
#include "tree.h"

static int room; /* how many frames the socket takes */
static pid_t next_pid = 2;

enum channel_sent channel_send(const struct frame_text *text, int fd)
{
    struct frame frame;
    if (text->length == 0 || text->length > sizeof text->bytes || !frame_open(&frame, text->bytes, text->length))
        abort();
    if (fd >= 0 && fcntl(fd, F_GETFD) < 0)
        abort(); /* what is passed must be open */
    if (room == 255)
        return CHANNEL_GONE;
    if (room == 254)
        return CHANNEL_SHORT;
    if (room <= 0)
        return CHANNEL_FULL;
    room--;
    return CHANNEL_SENT;
}

int spawn(const char *id, struct frame *frame, const int fds[], size_t fd_count, unsigned supervisor, struct start_failure *failure)
{
    static struct spawn_order order;
    (void)fds;
    const char *wrong = spawn_order_read(frame, fd_count, &order);
    memset(failure, 0, sizeof *failure);
    if (wrong != NULL || id[0] == '\0' || strlen(id) > ORDER_LONGEST_ID || children_by_id(id) != CHILD_NONE || children_full()) {
        strncpy(failure->stage, wrong == NULL ? "id" : wrong, sizeof failure->stage - 1);
        return CHILD_NONE;
    }
    /* what the child would collect is what was counted */
    size_t arguments = 0, elements = 0;
    for (const char *field; (field = frame_take(&order.fields)) != NULL;) {
        arguments += spawn_order_value(field, "a") != NULL;
        elements += spawn_order_value(field, "e") != NULL;
    }
    if (arguments != order.argument_count || elements != order.environment_count || order.argument_count == 0)
        abort();
    for (size_t i = 0; i < order.fd_count; i++)
        if (order.fds[i].index < 0 || (size_t)order.fds[i].index >= fd_count || order.fds[i].target < 0)
            abort();
    return children_add(id, next_pid++, -1, supervisor);
}

int tree_signal_child(int slot, int number) { return children_at(slot)->reaped ? 0 : number >= 0; }
int tree_signal_group(int slot, int number) { return tree_signal_child(slot, number); }
int tree_signal(int slot, int number) { return tree_signal_child(slot, number); }

static bool stopping;
bool stop_has_begun(void) { return stopping; }
void stop_set_grace(int64_t milliseconds) { if (milliseconds < 0) abort(); }
void stop_set_backstop(int64_t at, int code) { if (at < 0 || code < 0 || code > 255) abort(); }
void stop_by_order(int code, int64_t now) { (void)now; if (code < 0 || code > 255) abort(); }

static void started(int slot, int fd) { (void)fd; if (children_at(slot)->state != CHILD_STARTING) abort(); }

/* As supervise.c does it. */
static void child_starts(int slot, bool fails)
{
    struct child *child = children_at(slot);
    if (child->state != CHILD_STARTING)
        return;
    child->state = fails ? CHILD_FAILED : CHILD_RUNNING;
    if (!report_has_greeted()) {
        child->state = CHILD_RUNNING;
        return;
    }
    child->owes_start = true;
    children_owe(slot);
}

static void child_ends(int slot, int status)
{
    struct child *child = children_at(slot);
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    if (child->state == CHILD_FREE || child->reaped)
        return;
    child_starts(slot, false);
    children_mark_reaped(slot);
    if (child->state == CHILD_FAILED) {
        if (!child->queued)
            children_remove(slot);
        return;
    }
    children_set_exit(child, status & 0xff7f, &usage, 1);
    child->state = CHILD_EXITED;
    if (child->forgotten && !child->queued) {
        children_remove(slot);
    } else if (!child->forgotten && report_has_greeted()) {
        child->owes_exit = true;
        children_owe(slot);
    }
}

static void obey(const unsigned char *data, size_t length, size_t fd_count)
{
    struct message message;
    memset(&message, 0, sizeof message);
    char *bytes = malloc(length == 0 ? 1 : length);
    memcpy(bytes, data, length);
    message.bytes = bytes;
    message.length = length;
    for (size_t i = 0; i < fd_count; i++)
        message.fds[message.fd_count++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!report_is_busy())
        orders_obey(&message, 0, 1);
    for (size_t i = 0; i < message.fd_count; i++)
        if (message.fds[i] >= 0)
            close(message.fds[i]);
    free(bytes);
}

static void reset(void)
{
    report_lost();
    for (int slot = 0; slot < children_end(); slot++) {
        struct child *child = children_at(slot);
        if (child->state == CHILD_FREE)
            continue;
        child_ends(slot, 0);
        if (child->state != CHILD_FREE)
            children_remove(slot);
    }
    if (children_alive() != 0)
        abort();
    while (held_end() > 0) {
        struct held held = held_at(held_end() - 1);
        if (held.fd < 0 || fcntl(held.fd, F_GETFD) < 0)
            abort();
        char name[HELD_LONGEST_NAME + 1];
        strcpy(name, held.name);
        held_drop(held.kind, name);
    }
    inbox_acknowledge(INT64_MAX);
    room = 100;
    for (struct waiting *waiting; (waiting = inbox_next()) != NULL;) {
        waiting->sent_at = 1;
        inbox_acknowledge(INT64_MAX);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static bool begun;
    if (!begun) {
        report_init(false);
        orders_init(started);
        begun = true;
    }
    stopping = false;
    room = 100;
    static const unsigned char greeting[] = "HELLO\0001";
    obey(greeting, sizeof greeting, 0);
    while (size >= 2) {
        unsigned opcode = data[0] % 10, value = data[1];
        data += 2;
        size -= 2;
        int end = children_end();
        if (opcode < 4) {
            size_t length = value < size ? value : size;
            obey(data, length, opcode == 3 ? value % 3 : opcode);
            data += length;
            size -= length;
        } else if (opcode == 4 && end > 0) {
            child_starts((int)value % end, value & 1);
        } else if (opcode == 5 && end > 0) {
            child_ends((int)value % end, (int)value << 8);
        } else if (opcode == 6) {
            inbox_add((int)value % 64 + 1, 1, 0, 1);
        } else if (opcode == 7) {
            room = (int)value;
        } else if (opcode == 8) {
            report_orphan();
            if (value == 0)
                stopping = true;
        } else if (opcode == 9 && value < 16) {
            report_lost();
        }
        bool wants_room = report_flush(1);
        /* either the socket or the clock wakes us, and the clock not at once */
        if (report_deadline() <= 1 || (room == 255 && report_is_busy()) || (wants_room && report_deadline() != INT64_MAX))
            abort();
    }
    reset();
    return 0;
}
