#define _GNU_SOURCE
#include "standby.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "descriptors.h"
#include "early.h"
#include "inbox.h"
#include "line.h"
#include "say.h"
#include "state.h"
#include "stop.h"

enum { AGAIN_MS = 5000 };

void standby_begin(struct standby *standby)
{
    standby->lock = -1;
}

void standby_end(struct standby *standby)
{
    if (standby->waiter != 0)
        kill(standby->waiter, SIGKILL);
    if (standby->lock >= 0)
        close(standby->lock);
    standby->waiter = 0;
    standby->lock = -1;
}

void standby_order(struct line *line, int lock, int64_t now)
{
    standby_end(&line->standby);
    line->standby.lock = lock;
    /* it has as much time to end as one that has closed its channel */
    if (line->supervisor.closed_at == INT64_MAX)
        line->supervisor.closed_at = now;
}

bool standby_is_on(const struct line *line)
{
    return line->standby.lock >= 0 && line->supervisor.pid == 0;
}

static _Noreturn void wait_for(int lock, pid_t init)
{
    setsid();
    if (init != 1)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* whatever else the init has must not stay open because of us */
    if (dup2(lock, STDIN_FILENO) < 0)
        _exit(1);
    descriptors_close_from(STDIN_FILENO + 1);
    early_set_mask(0);
    if (getppid() != init)
        _exit(1);
    int failed;
    do
        failed = flock(STDIN_FILENO, LOCK_EX);
    while (failed < 0 && errno == EINTR);
    _exit(failed < 0 ? 1 : 0);
}

static void start_waiter(struct line *line, int64_t now)
{
    pid_t init = getpid(), forked = fork();
    line->supervisor.start_at = now + AGAIN_MS; /* should it fail */
    if (forked == 0)
        wait_for(line->standby.lock, init);
    if (forked < 0)
        say("cannot wait for the lock: fork: %s; again in 5 s", strerror(errno));
    else
        line->standby.waiter = forked;
}

void standby_turn(struct line *line, int64_t now)
{
    bool is_asked_to_stop = inbox_stop(&line->inbox) != NULL;
    if (is_asked_to_stop && children_alive(line_slot(line)) == 0) {
        /* nothing runs: to start a supervisor for that would take longer than to end */
        stop_by_order(line, 0, now);
    } else if (is_asked_to_stop) {
        standby_end(&line->standby);
        line->supervisor.start_at = now;
    } else if (line->standby.waiter == 0 && now >= line->supervisor.start_at) {
        start_waiter(line, now);
    }
}

int64_t standby_deadline(const struct line *line)
{
    if (inbox_stop(&line->inbox) != NULL)
        return 0;
    return line->standby.waiter == 0 ? line->supervisor.start_at : INT64_MAX;
}

static void waiter_ended(struct line *line, int status, int64_t now)
{
    line->standby.waiter = 0;
    line->supervisor.start_at = now;
    if (WIFSIGNALED(status)) {
        /* somebody killed it, and that says nothing of the lock */
        line->supervisor.start_at = now + AGAIN_MS;
        return;
    }
    if (WEXITSTATUS(status) != 0) {
        /* the next supervisor finds out what is wrong with the lock, not too often */
        say("cannot wait for the lock; starting the supervisor in 5 s");
        line->supervisor.start_at = now + AGAIN_MS;
    }
    /* the child has locked what is ours, too */
    flock(line->standby.lock, LOCK_UN);
    standby_end(&line->standby);
}

bool standby_reap(pid_t pid, int status, int64_t now)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line)) {
        if (line->standby.waiter != pid)
            continue;
        waiter_ended(line, status, now);
        return true;
    }
    return false;
}

void standby_visit(struct state *state, struct standby *standby)
{
    state_fd(state, "lock", &standby->lock);
    STATE_NUMBER(state, "waiter", standby->waiter, 0, INT32_MAX);
}
