#define _GNU_SOURCE
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "line.h"
#include "say.h"
#include "state.h"
#include "tree.h"

enum { ORDER_GRACE_MS = 500, SUPERVISOR_GRACE_MS = 2000, KILL_AGAIN_MS = 50, GIVE_UP_MS = 5000 };

static int exit_code; /* of the line that was primary last */

void stop_begin(struct stop *stop)
{
    stop->grace_ms = STOP_DEFAULT_GRACE_MS;
    stop->backstop_at = stop->doomed_at = INT64_MAX;
}

void stop_set_grace(struct line *line, int64_t milliseconds)
{
    line->stop.grace_ms = milliseconds;
}

void stop_set_backstop(struct line *line, int64_t at, int code)
{
    line->stop.backstop_at = at;
    line->stop.backstop_code = code;
}

bool stop_has_begun(const struct line *line)
{
    return line->stop.begun;
}

static void begin(struct line *line, int64_t kill, int64_t kill_supervisor)
{
    struct stop *stop = &line->stop;
    stop->begun = true;
    stop->kill_at = kill;
    stop->kill_supervisor_at = kill_supervisor;
    stop->give_up_at = (kill > kill_supervisor ? kill : kill_supervisor) + GIVE_UP_MS;
    stop->look_at = 0;
}

static void set_code(struct line *line, int code)
{
    line->stop.by_signal = false;
    line->stop.result = code;
}

static void set_signal(struct line *line, int number)
{
    line->stop.by_signal = true;
    line->stop.result = number;
}

void stop_by_order(struct line *line, int code, int64_t now)
{
    if (line->stop.begun)
        return;
    set_code(line, code);
    begin(line, now + ORDER_GRACE_MS, now + SUPERVISOR_GRACE_MS);
    tree_signal_line(line, true, SIGTERM);
}

void stop_as_last_resort(struct line *line, int code, const char *why, int64_t now)
{
    struct stop *stop = &line->stop;
    if (stop->begun)
        return;
    set_code(line, code);
    begin(line, now + stop->grace_ms, now + stop->grace_ms);
    stop->is_last_resort = true;
    int count = tree_signal_line(line, true, SIGTERM);
    if (count > 0 && line->number == 1)
        say("%s: stopping %d processes, SIGKILL in %lld ms", why, count, (long long)stop->grace_ms);
    else if (count > 0)
        say("line %d: %s: stopping %d processes, SIGKILL in %lld ms", line->number, why, count, (long long)stop->grace_ms);
}

void stop_abandon(struct line *line, int status, int64_t now)
{
    if (line->stop.begun)
        return;
    if (WIFSIGNALED(status))
        set_signal(line, WTERMSIG(status));
    else
        set_code(line, WEXITSTATUS(status));
    begin(line, now + ORDER_GRACE_MS, now);
    tree_signal_line(line, true, SIGTERM);
}

void stop_survive(struct line *line)
{
    line->stop.doomed_at = INT64_MAX;
}

void stop_hurry(int64_t now)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        if (line->stop.is_last_resort && line->stop.kill_at > now)
            line->stop.kill_at = line->stop.kill_supervisor_at = now;
}

void stop_look(void)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        line->stop.look_at = 0;
}

/* The last resort of all: KILL, for the line alone or, when it is the one that counts, for every line. */
static void kill_at_backstop(struct line *line, int64_t now)
{
    struct stop *stop = &line->stop;
    stop->backstop_at = INT64_MAX;
    set_code(line, stop->backstop_code);
    begin(line, now, now);
    if (!line_is_primary(line) && !line_is_only(line)) {
        say("line %d: the stop has not ended in time: SIGKILL for what is left", line->number);
        return;
    }
    say("the stop has not ended in time: SIGKILL for what is left");
    for (struct line *other = line_next(NULL); other != NULL; other = line_next(other)) {
        if (other == line)
            continue;
        if (!other->stop.begun)
            set_signal(other, SIGKILL);
        begin(other, now, now);
    }
}

static void kill_doomed(struct line *line, int64_t now)
{
    say("line %d has not ended with the primary: SIGKILL for what is left", line->number);
    line->stop.doomed_at = INT64_MAX;
    if (!line->stop.begun)
        set_signal(line, SIGKILL);
    begin(line, now, now);
}

static bool nobody_is_left(struct line *line, int64_t now)
{
    siginfo_t info;
    if (line_is_only(line))
        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
    if (line->supervisor.pid != 0 || children_alive(line_slot(line)) > 0 || now < line->stop.look_at)
        return false;
    /* grandchildren may be left, whose end nobody tells us */
    line->stop.look_at = now + KILL_AGAIN_MS;
    return tree_signal_line(line, false, 0) == 0;
}

/* The primary has ended: the others are asked to. */
static void doom_others(int64_t now)
{
    for (struct line *over; (over = line_first_over()) != NULL;)
        line_forget(over);
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line)) {
        inbox_add(&line->inbox, SIGTERM, getpid(), getuid(), now);
        line->stop.doomed_at = now + line->stop.grace_ms;
    }
}

static void end(struct line *line, int64_t now)
{
    bool was_primary = line_is_primary(line);
    const struct line *primary = line_primary();
    if (was_primary)
        exit_code = line->stop.by_signal ? 128 + line->stop.result : line->stop.result;
    line_close(line, !was_primary && primary != NULL && report_has_greeted(primary));
    if (was_primary)
        doom_others(now);
}

static void kill_what_is_due(struct line *line, int64_t now)
{
    struct stop *stop = &line->stop;
    pid_t supervisor = line->supervisor.pid;
    if (now >= stop->kill_supervisor_at && supervisor != 0) {
        kill(supervisor, SIGKILL);
        stop->kill_supervisor_at = INT64_MAX;
    }
    if (now >= stop->kill_at) {
        /* each that dies may leave us its children: again until nobody is left */
        tree_signal_line(line, stop->kill_supervisor_at != INT64_MAX, SIGKILL);
        stop->kill_at = now + KILL_AGAIN_MS;
    }
}

bool stop_turn(int64_t now, int *code)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line)) {
        if (now >= line->stop.backstop_at)
            kill_at_backstop(line, now);
        if (now >= line->stop.doomed_at)
            kill_doomed(line, now);
        if (!line->stop.begun)
            continue;
        if (nobody_is_left(line, now) || now >= line->stop.give_up_at)
            end(line, now);
        else
            kill_what_is_due(line, now);
    }
    *code = exit_code;
    return line_count() == 0;
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t line_deadline(const struct line *line)
{
    const struct stop *stop = &line->stop;
    int64_t first = earlier(stop->backstop_at, stop->doomed_at);
    if (!stop->begun)
        return first;
    first = earlier(first, earlier(stop->give_up_at, stop->kill_at));
    if (line->supervisor.pid != 0)
        return earlier(first, stop->kill_supervisor_at);
    return line_is_only(line) || children_alive(line_slot(line)) > 0 ? first : earlier(first, stop->look_at);
}

int64_t stop_deadline(void)
{
    int64_t first = INT64_MAX;
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        first = earlier(first, line_deadline(line));
    return first;
}

void stop_visit(struct state *state, struct stop *stop)
{
    STATE_AMOUNT(state, "grace", stop->grace_ms);
    STATE_AMOUNT(state, "backstop-at", stop->backstop_at);
    STATE_NUMBER(state, "backstop-code", stop->backstop_code, 0, 255);
    STATE_AMOUNT(state, "doomed-at", stop->doomed_at);
    STATE_FLAG(state, "stop-begun", stop->begun);
    STATE_FLAG(state, "last-resort", stop->is_last_resort);
    STATE_FLAG(state, "by-signal", stop->by_signal);
    STATE_NUMBER(state, "result", stop->result, 0, 255);
    STATE_AMOUNT(state, "kill-at", stop->kill_at);
    STATE_AMOUNT(state, "kill-supervisor-at", stop->kill_supervisor_at);
    STATE_AMOUNT(state, "give-up-at", stop->give_up_at);
}

void stop_visit_all(struct state *state)
{
    STATE_NUMBER(state, "exit-code", exit_code, 0, 255);
}
