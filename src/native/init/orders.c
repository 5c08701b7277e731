#define _GNU_SOURCE
#include "orders.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "children.h"
#include "held.h"
#include "inbox.h"
#include "line.h"
#include "number.h"
#include "replace.h"
#include "report.h"
#include "spawn.h"
#include "stop.h"
#include "successor.h"
#include "supervisor.h"
#include "tree.h"

struct order {
    struct line *line; /* from whose supervisor it comes */
    struct frame *frame;
    struct message *message;
    int64_t now;
};

/* Each verb's function: NULL, or what is wrong with the order, which then has no effect. */
typedef const char *obey(struct order *order);

static struct orders_watch watch;

void orders_init(struct orders_watch given)
{
    watch = given;
}

static const char *take_name(struct order *order, const char **name)
{
    *name = frame_take(order->frame);
    if (*name == NULL || (*name)[0] == '\0' || strlen(*name) > HELD_LONGEST_NAME)
        return "a name of 1 to 255 bytes is needed";
    return NULL;
}

static const char *hello(struct order *order)
{
    int64_t version;
    if (!frame_take_number(order->frame, 0, INT32_MAX, &version))
        return "a version is needed";
    if (version != 1)
        return "this init speaks version 1";
    report_hello(order->line, supervisor_restarts(order->line));
    return NULL;
}

static const char *spawn_child(struct order *order)
{
    struct start_failure failure;
    struct frame_text text;
    const char *id = frame_take(order->frame);
    if (id == NULL)
        return "an id is needed";
    int slot = CHILD_NONE;
    if (order->message->lost != NULL)
        failure = (struct start_failure){.stage = "fd", .error = EMFILE};
    else if (stop_has_begun(order->line))
        failure = (struct start_failure){.stage = "fork", .error = ESHUTDOWN};
    else
        slot = spawn(id, order->frame, order->message->fds, order->message->fd_count, line_slot(order->line),
                     supervisor_restarts(order->line), &failure);
    if (slot != CHILD_NONE) {
        watch.child(slot, children_at(slot)->start_pipe);
        return NULL;
    }
    frame_begin(&text, "SPAWN-FAILED");
    frame_add(&text, id);
    frame_add(&text, failure.stage);
    frame_add_number(&text, failure.error);
    report_answer(order->line, &text);
    return NULL;
}

/* Another line's are none of its business. */
static int own_child(const struct order *order, const char *id)
{
    int slot = children_by_id(id);
    return slot != CHILD_NONE && children_at(slot)->line == line_slot(order->line) ? slot : CHILD_NONE;
}

static const char *signal_child(struct order *order)
{
    int64_t ticket, number;
    struct frame_text text;
    bool has_ticket = frame_take_number(order->frame, 0, INT64_MAX, &ticket);
    const char *id = frame_take(order->frame);
    if (!has_ticket || id == NULL || !frame_take_number(order->frame, 0, 64, &number))
        return "a ticket, an id and a signal from 0 to 64 are needed";
    const char *scope = frame_take(order->frame);
    int slot = own_child(order, id);
    int (*deliver)(int, int) = scope == NULL                  ? NULL
                               : strcmp(scope, "child") == 0 ? tree_signal_child
                               : strcmp(scope, "group") == 0 ? tree_signal_group
                               : strcmp(scope, "tree") == 0  ? tree_signal
                                                             : NULL;
    if (deliver == NULL)
        return "a scope is needed: child, group or tree";
    frame_begin(&text, "SIGNALLED");
    frame_add_number(&text, ticket);
    frame_add_number(&text, slot == CHILD_NONE ? 0 : deliver(slot, (int)number));
    report_answer(order->line, &text);
    return NULL;
}

static const char *forget(struct order *order)
{
    const char *id = frame_take(order->frame);
    if (id == NULL)
        return "an id is needed";
    int slot = own_child(order, id);
    if (slot == CHILD_NONE)
        return NULL;
    struct child *child = children_at(slot);
    child->forgotten = true;
    child->owes_exit = false;
    /* one that is queued to be told is removed when its turn comes */
    if (child->reaped && !child->queued)
        children_remove(slot);
    return NULL;
}

static const char *hold(struct order *order)
{
    const char *name;
    struct frame_text text;
    const char *problem = take_name(order, &name);
    if (problem != NULL)
        return problem;
    if (order->message->fd_count != 1)
        return "exactly one descriptor is needed";
    if (!held_put(line_slot(order->line), HELD_SOCKET, name, order->message->fds[0]))
        return "8192 names are held already";
    order->message->fds[0] = -1;
    frame_begin(&text, "HELD");
    frame_add(&text, name);
    report_answer(order->line, &text);
    return NULL;
}

static const char *release(struct order *order)
{
    const char *name;
    const char *problem = take_name(order, &name);
    if (problem == NULL)
        held_drop(line_slot(order->line), HELD_SOCKET, name);
    return problem;
}

static const char *state(struct order *order)
{
    const char *name;
    struct stat status;
    const char *problem = take_name(order, &name);
    if (problem != NULL)
        return problem;
    if (order->message->fd_count != 1)
        return "exactly one descriptor is needed";
    if (fstat(order->message->fds[0], &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > FRAME_MOST_BYTES)
        return "a memfd of at most 8 MiB is needed";
    if (!held_put(line_slot(order->line), HELD_STATE, name, order->message->fds[0]))
        return "8192 names are held already";
    order->message->fds[0] = -1;
    return NULL;
}

static const char *ready(struct order *order)
{
    report_ready(order->line);
    order->line->supervisor.was_ready = true;
    return NULL;
}

static const char *acknowledge(struct order *order)
{
    int64_t sequence;
    if (!frame_take_number(order->frame, 0, INT64_MAX, &sequence))
        return "a sequence number is needed";
    inbox_acknowledge(&order->line->inbox, sequence);
    return NULL;
}

static const char *grace(struct order *order)
{
    int64_t milliseconds;
    if (!frame_take_number(order->frame, 0, (int64_t)7 * 86400 * 1000, &milliseconds))
        return "milliseconds are needed, at most a week of them";
    stop_set_grace(order->line, milliseconds);
    return NULL;
}

static const char *backstop(struct order *order)
{
    const char *at = frame_take(order->frame);
    int64_t instant = INT64_MAX, code;
    if (at == NULL || (strcmp(at, "-") != 0 && !number_parse(at, 0, INT64_MAX / 2, &instant)))
        return "an instant is needed: monotonic milliseconds, or -";
    if (!frame_take_number(order->frame, 0, 255, &code))
        return "an exit code from 0 to 255 is needed";
    stop_set_backstop(order->line, instant, (int)code);
    return NULL;
}

static const char *leave(struct order *order)
{
    int64_t code;
    if (!frame_take_number(order->frame, 0, 255, &code))
        return "an exit code from 0 to 255 is needed";
    stop_by_order(order->line, (int)code, order->now);
    return NULL;
}

static const char *successor(struct order *order)
{
    struct frame_text text;
    const char *stage = "fork";
    int error = ESHUTDOWN;
    /* told apart by their order only */
    if (successor_is_starting_for(order->line))
        return "one is being started already";
    struct line *line = NULL;
    if (!order->line->supervisor.enabled) {
        stage = "spawner";
        error = ENOTSUP;
    } else if (!stop_has_begun(order->line)) {
        line = successor_start(order->line, order->frame, order->now, &stage, &error);
    }
    if (line != NULL) {
        watch.successor(line);
        return NULL;
    }
    frame_begin(&text, "START-FAILED");
    frame_add(&text, stage);
    frame_add_number(&text, error);
    report_answer(order->line, &text);
    return NULL;
}

static const char *own(struct order *order)
{
    if (stop_has_begun(order->line))
        return "this line is being stopped";
    line_make_primary(order->line);
    stop_survive(order->line);
    return NULL;
}

static const char *abandon(struct order *order)
{
    int64_t number;
    if (!frame_take_number(order->frame, 1, INT32_MAX, &number))
        return "the number of a line is needed";
    struct line *line = line_by_number(number);
    if (line == order->line)
        return "a line cannot abandon itself";
    if (line == NULL)
        return NULL;
    if (line_is_primary(line)) {
        /* who was primary takes back in the same breath: the other may have sent its OWN in between */
        if (!order->line->was_primary || own(order) != NULL)
            return "the primary cannot be abandoned";
    }
    stop_abandon(line, SIGKILL, order->now);
    return NULL;
}

static const char *replace(struct order *order)
{
    const char *path = frame_take(order->frame);
    if (path == NULL)
        return "the path of a program is needed";
    if (!order->line->supervisor.enabled)
        return "a spawner is not replaced";
    if (stop_has_begun(order->line))
        return "this line is being stopped";
    return replace_begin(order->line, path, order->now);
}

static const char *stand_by(struct order *order)
{
    if (order->message->fd_count != 1)
        return "exactly one descriptor is needed";
    if (!order->line->supervisor.enabled || !order->line->was_primary)
        return "this supervisor is not started again";
    if (stop_has_begun(order->line))
        return "this line is being stopped";
    standby_order(order->line, order->message->fds[0], order->now);
    order->message->fds[0] = -1;
    return NULL;
}

static const struct {
    const char *verb;
    obey *obey;
} verbs[] = {
    {"HELLO", hello},     {"SPAWN", spawn_child}, {"SIGNAL", signal_child}, {"FORGET", forget}, {"HOLD", hold},
    {"RELEASE", release}, {"STATE", state},       {"READY", ready},         {"ACK", acknowledge}, {"GRACE", grace},
    {"BACKSTOP", backstop}, {"EXIT", leave},      {"SUCCESSOR", successor}, {"OWN", own},       {"ABANDON", abandon},
    {"REPLACE", replace}, {"STANDBY", stand_by},
};

static void refuse(struct line *line, const char *verb, const char *problem)
{
    struct frame_text text;
    /* two ends that do not understand each other must not talk for ever */
    if (strcmp(verb, "ERROR") == 0)
        return;
    frame_begin(&text, "ERROR");
    frame_add(&text, verb);
    frame_add(&text, problem);
    report_answer(line, &text);
}

void orders_obey(struct line *line, struct message *message, int64_t now)
{
    struct frame frame;
    struct order order = {.line = line, .frame = &frame, .message = message, .now = now};
    if (message->problem != NULL) {
        refuse(line, "?", message->problem);
        return;
    }
    if (!frame_open(&frame, message->bytes, message->length)) {
        refuse(line, "?", "the frame does not begin with a verb, or does not end with a NUL");
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(frame.verb, verbs[i].verb) != 0)
            continue;
        if (verbs[i].obey != hello && !report_has_greeted(line)) {
            refuse(line, frame.verb, "HELLO comes first");
            return;
        }
        /* SPAWN has an answer of its own for it, which names the child */
        const char *problem = verbs[i].obey == spawn_child ? NULL : message->lost;
        if (problem == NULL)
            problem = verbs[i].obey(&order);
        if (problem != NULL)
            refuse(line, frame.verb, problem);
        return;
    }
    /* "*": the memfd that it was in is among what was lost */
    refuse(line, frame.verb, message->lost != NULL ? message->lost : "there is no such verb");
}
