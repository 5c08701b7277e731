#define _GNU_SOURCE
#include "stop.h"

#include <signal.h>

#include "children.h"
#include "say.h"
#include "supervisor.h"
#include "tree.h"

enum { ORDER_GRACE_MS = 500, SUPERVISOR_GRACE_MS = 2000, KILL_AGAIN_MS = 50, GIVE_UP_MS = 5000 };

static int64_t grace_ms = STOP_DEFAULT_GRACE_MS;
static int64_t backstop_at = INT64_MAX;
static int backstop_code;

static bool begun, is_last_resort;
static int exit_code;
static int64_t kill_at, kill_supervisor_at, give_up_at;

void stop_set_grace(int64_t milliseconds)
{
    grace_ms = milliseconds;
}

void stop_set_backstop(int64_t at, int code)
{
    backstop_at = at;
    backstop_code = code;
}

bool stop_has_begun(void)
{
    return begun;
}

static void begin(int code, int64_t kill, int64_t kill_supervisor)
{
    begun = true;
    exit_code = code;
    kill_at = kill;
    kill_supervisor_at = kill_supervisor;
    give_up_at = (kill > kill_supervisor ? kill : kill_supervisor) + GIVE_UP_MS;
}

void stop_by_order(int code, int64_t now)
{
    if (begun)
        return;
    begin(code, now + ORDER_GRACE_MS, now + SUPERVISOR_GRACE_MS);
    tree_signal_all(supervisor_pid(), SIGTERM);
}

void stop_as_last_resort(int code, const char *why, int64_t now)
{
    if (begun)
        return;
    begin(code, now + grace_ms, now + grace_ms);
    is_last_resort = true;
    int count = tree_signal_all(supervisor_pid(), SIGTERM);
    if (count > 0)
        say("%s: stopping %d processes, SIGKILL in %lld ms", why, count, (long long)grace_ms);
}

void stop_hurry(int64_t now)
{
    if (is_last_resort && kill_at > now)
        kill_at = kill_supervisor_at = now;
}

bool stop_turn(bool nobody_left, int64_t now, int *code)
{
    if (now >= backstop_at) {
        say("the stop has not ended in time: SIGKILL for what is left");
        begin(backstop_code, now, now);
        backstop_at = INT64_MAX;
    }
    if (!begun)
        return false;
    *code = exit_code;
    if (nobody_left || now >= give_up_at)
        return true;
    pid_t supervisor = supervisor_pid();
    if (now >= kill_supervisor_at && supervisor != 0) {
        kill(supervisor, SIGKILL);
        kill_supervisor_at = INT64_MAX;
    }
    if (now >= kill_at) {
        /* each that dies may leave us its children: again until nobody is left */
        tree_signal_all(kill_supervisor_at == INT64_MAX ? 0 : supervisor, SIGKILL);
        kill_at = now + KILL_AGAIN_MS;
    }
    return false;
}

int64_t stop_deadline(void)
{
    if (!begun)
        return backstop_at;
    int64_t first = kill_at < kill_supervisor_at ? kill_at : kill_supervisor_at;
    if (give_up_at < first)
        first = give_up_at;
    return backstop_at < first ? backstop_at : first;
}
