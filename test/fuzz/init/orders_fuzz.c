/*
 * Everything between a datagram from the supervisor and the kernel: frames, orders, tables, signals, reports. Forking, signalling and the
 * socket are played. The input is a script: each step is an opcode, a length and, for a frame, its bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "channel.h"
#include "children.h"
#include "greeting.h"
#include "held.h"
#include "inbox.h"
#include "line.h"
#include "orders.h"
#include "proc.h"
#include "replace.h"
#include "report.h"
#include "spawn.h"
#include "spawn_order.h"
#include "stop.h"
#include "successor.h"
#include "supervisor.h"
#include "tree.h"

/* a frame whose first byte is at least this has lost descriptors */
enum { LOST = 234 };

static int room; /* how many frames the socket takes */
static pid_t next_pid = 2;

enum channel_sent channel_send(int channel, const struct frame_text *text, int fd)
{
    struct frame frame;
    (void)channel;
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

int spawn(const char *id, struct frame *frame, const int fds[], size_t fd_count, int line, unsigned supervisor,
          struct start_failure *failure)
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
    for (size_t i = 0; i < order.fd_count; i++) {
        const struct order_fd *placed = &order.fds[i];
        if (placed->target < 0 || placed->target > ORDER_HIGHEST_TARGET)
            abort();
        for (size_t j = 0; j < i; j++)
            if (order.fds[j].target == placed->target)
                abort();
        if (placed->held == NULL) {
            if (placed->index < 0 || (size_t)placed->index >= fd_count)
                abort();
            continue;
        }
        /* as the child does it: what is found is open, and of this line */
        int held = held_fd(line, HELD_SOCKET, placed->held);
        if (placed->held[0] == '\0' || strlen(placed->held) > HELD_LONGEST_NAME || (held >= 0 && fcntl(held, F_GETFD) < 0))
            abort();
    }
    return children_add(id, next_pid++, -1, line, supervisor);
}

int tree_signal_child(int slot, int number) { return children_at(slot)->reaped ? 0 : number >= 0; }
int tree_signal_group(int slot, int number) { return tree_signal_child(slot, number); }
int tree_signal(int slot, int number) { return tree_signal_child(slot, number); }

bool proc_read(pid_t pid, struct process *process) { (void)pid, (void)process; return false; }

static void check(const struct line *line) { if (line->state != LINE_ALIVE || line->number < 1) abort(); }
void stop_visit(struct state *state, struct stop *stop) { (void)state, (void)stop; }
void supervisor_visit(struct state *state, struct supervisor *supervisor) { (void)state, (void)supervisor; }
void stop_begin(struct stop *stop) { stop->begun = false; }
bool stop_has_begun(const struct line *line) { check(line); return line->stop.begun; }
void stop_set_grace(struct line *line, int64_t milliseconds) { check(line); if (milliseconds < 0) abort(); }
void stop_set_backstop(struct line *line, int64_t at, int code) { check(line); if (at < 0 || code < 0 || code > 255) abort(); }
void stop_by_order(struct line *line, int code, int64_t now) { check(line); (void)now; if (code < 0 || code > 255) abort(); }
void stop_survive(struct line *line) { if (!line_is_primary(line)) abort(); }
void stop_abandon(struct line *line, int status, int64_t now)
{
    check(line);
    (void)now;
    if (status != SIGKILL || line_is_primary(line))
        abort();
    line->stop.begun = true;
}

void supervisor_begin(struct supervisor *supervisor) { supervisor->program = supervisor->start_pipe = -1; }
void supervisor_end(struct supervisor *supervisor) { supervisor->start_pipe = -1; }
void standby_visit(struct state *state, struct standby *standby) { (void)state, (void)standby; }
void standby_begin(struct standby *standby) { standby->lock = -1; }
void standby_end(struct standby *standby)
{
    if (standby->lock >= 0)
        close(standby->lock);
    standby->lock = -1;
}
void standby_order(struct line *line, int lock, int64_t now)
{
    check(line);
    (void)now;
    if (fcntl(lock, F_GETFD) < 0 || !line->was_primary)
        abort();
    standby_end(&line->standby);
    line->standby.lock = lock;
}
unsigned supervisor_restarts(const struct line *line) { check(line); return 0; }
bool successor_is_starting_for(const struct line *line) { return line->report.late_waits[LATE_SUCCESSOR]; }
struct line *successor_start(struct line *line, struct frame *frame, int64_t now, const char **stage, int *error)
{
    check(line);
    (void)now;
    size_t fields = 0;
    while (frame_take(frame) != NULL)
        fields++;
    struct line *successor = fields > 0 ? line_open() : NULL;
    *stage = "table";
    *error = 23;
    if (successor != NULL) {
        successor->supervisor.enabled = true;
        successor->supervisor.asked_by = line->number;
    }
    return successor;
}

const char *replace_begin(struct line *line, const char *path, int64_t now)
{
    check(line);
    (void)now;
    if (path[0] != '/')
        return "an absolute path is needed";
    struct frame_text text;
    frame_begin(&text, "REPLACED");
    frame_add(&text, "1");
    report_answer_later(line, 0, LATE_REPLACE, &text);
    return NULL;
}

static void child_started(int slot, int fd) { (void)fd; if (children_at(slot)->state != CHILD_STARTING) abort(); }
static void line_started(struct line *line)
{
    struct frame_text text;
    struct line *asked = line_by_number(line->supervisor.asked_by);
    check(line);
    frame_begin(&text, "STARTED");
    frame_add_number(&text, line->number);
    frame_add_number(&text, 1);
    if (asked != NULL)
        report_answer_later(asked, 0, LATE_SUCCESSOR, &text);
}

static struct line *any_line(unsigned value)
{
    struct line *line = NULL;
    for (value %= LINE_MOST; line_count() > 0; value--) {
        line = line_next(line);
        if (line == NULL)
            line = line_next(NULL);
        if (value == 0)
            return line;
    }
    abort();
}

/* As supervise.c does it. */
static void child_starts(int slot, bool fails)
{
    struct child *child = children_at(slot);
    if (child->state != CHILD_STARTING)
        return;
    child->state = fails ? CHILD_FAILED : CHILD_RUNNING;
    if (!report_has_greeted(line_at(child->line))) {
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
    } else if (!child->forgotten && report_has_greeted(line_at(child->line))) {
        child->owes_exit = true;
        children_owe(slot);
    }
}

static void obey(struct line *line, const unsigned char *data, size_t length, size_t fd_count, const char *lost)
{
    struct message message;
    memset(&message, 0, sizeof message);
    char *bytes = malloc(length == 0 ? 1 : length);
    memcpy(bytes, data, length);
    message.bytes = bytes;
    message.length = length;
    message.lost = lost;
    for (size_t i = 0; i < fd_count; i++)
        message.fds[message.fd_count++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!report_is_busy(line))
        orders_obey(line, &message, 1);
    for (size_t i = 0; i < message.fd_count; i++)
        if (message.fds[i] >= 0)
            close(message.fds[i]);
    free(bytes);
}

static void end_line(struct line *line, bool tell)
{
    int slot = line_slot(line);
    report_lost(line);
    for (int child = 0; child < children_end(); child++)
        if (children_at(child)->line == slot && children_at(child)->state != CHILD_FREE && (child & 1) == 0)
            child_ends(child, 0);
    for (int at = 0; at < held_end(slot); at++)
        if (held_at(slot, at).fd >= 0 && fcntl(held_at(slot, at).fd, F_GETFD) < 0)
            abort();
    line_close(line, tell);
    if (children_alive(slot) != 0 || held_end(slot) != 0 || children_first_owing(slot) != CHILD_NONE)
        abort();
}

static void reset(void)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        end_line(line, false);
    for (struct line *over; (over = line_first_over()) != NULL;)
        line_forget(over);
    for (int slot = 0; slot < children_end(); slot++)
        if (children_at(slot)->state != CHILD_FREE)
            abort();
}

static void flush(struct line *line)
{
    bool wants_room = report_flush(line, 1);
    /* either the socket or the clock wakes us, and the clock not at once */
    if (report_deadline(line) <= 1 || (room == 255 && report_is_busy(line)) || (wants_room && report_deadline(line) != INT64_MAX))
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static bool begun;
    if (!begun) {
        greeting_init(false);
        orders_init((struct orders_watch){.child = child_started, .successor = line_started});
        begun = true;
    }
    room = 100;
    static const unsigned char greeting[] = "HELLO\0001";
    struct line *line = line_open();
    line_make_primary(line);
    line->supervisor.enabled = true;
    obey(line, greeting, sizeof greeting, 0, NULL);
    while (size >= 2) {
        unsigned opcode = data[0] % 13, value = data[1];
        bool lost = data[0] >= LOST;
        data += 2;
        size -= 2;
        int end = children_end();
        if (opcode < 4) {
            size_t length = value < size ? value : size;
            obey(line, data, length, opcode == 3 ? value % 3 : opcode, lost ? "they were lost" : NULL);
            data += length;
            size -= length;
        } else if (opcode == 4 && end > 0) {
            child_starts((int)value % end, value & 1);
        } else if (opcode == 5 && end > 0) {
            child_ends((int)value % end, (int)value << 8);
        } else if (opcode == 6) {
            inbox_add(&line->inbox, (int)value % 64 + 1, 1, 0, 1);
        } else if (opcode == 7) {
            room = (int)value;
        } else if (opcode == 8) {
            report_orphan();
            if (value == 0)
                line->stop.begun = true;
        } else if (opcode == 9 && value < 16) {
            report_lost(line);
        } else if (opcode == 10) {
            line = any_line(value);
        } else if (opcode == 11) {
            struct line *gone = any_line(value);
            if (gone != line)
                end_line(gone, line_primary() != NULL && line_primary() != gone && report_has_greeted(line_primary()));
        } else if (opcode == 12) {
            obey(line, greeting, sizeof greeting, 0, NULL);
        }
        for (struct line *each = line_next(NULL); each != NULL; each = line_next(each))
            flush(each);
    }
    reset();
    return 0;
}
