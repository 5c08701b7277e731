#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "early.h"
#include "execute.h"
#include "give_way.h"
#include "inbox.h"
#include "line.h"
#include "program.h"
#include "report.h"
#include "say.h"
#include "spawn.h"
#include "state.h"
#include "stop.h"

enum {
    CHANNEL_FD = 3,
    FIRST_DELAY_MS = 100,
    LONGEST_DELAY_MS = 5000,
    FAILED_START_MS = 500, /* to the next try, while there has been no supervisor at all */
    MOST_FAILED_STARTS = 10,
    HEALTHY_MS = 10000, /* after so long a life a death is the first again, also of one that was never ready */
    DEATHS_WITHIN_MS = 60000,
    ANSWER_MS = 2000, /* for the acknowledgement of a stop signal */
    BOOT_MS = 10000,  /* for READY, when a stop signal waits */
    STOPPED_MS = 5000, /* by SIGSTOP; long enough for whoever looks at one in passing */
};

static char *const *first_arguments;
static char *const *first_environment;

void supervisor_init(char *const argv[], char *const environment[])
{
    first_arguments = argv;
    first_environment = environment;
}

void supervisor_begin(struct supervisor *supervisor)
{
    supervisor->program = supervisor->start_pipe = -1;
    supervisor->stopped_at = INT64_MAX;
}

void supervisor_end(struct supervisor *supervisor)
{
    if (supervisor->program >= 0)
        close(supervisor->program);
    if (supervisor->start_pipe >= 0)
        close(supervisor->start_pipe);
    supervisor->program = supervisor->start_pipe = -1;
}

bool supervisor_keep_program(struct supervisor *supervisor)
{
    if (supervisor->enabled && supervisor->program < 0)
        supervisor->program = program_keep_arrays(first_arguments, first_environment);
    return !supervisor->enabled || supervisor->program >= 0;
}

void supervisor_enable(struct line *line)
{
    line->supervisor.enabled = true;
}

unsigned supervisor_restarts(const struct line *line)
{
    return line->supervisor.started == 0 ? 0 : line->supervisor.started - 1;
}

static char **environment_with_channel(char *const given[])
{
    static char channel[] = "PINGORA_ENTRY_CHANNEL=3";
    static const char id[] = "PINGORA_ENTRY_ID="; /* an outer init's, whose children are not this one's */
    size_t count = 0, kept = 0;
    while (given[count] != NULL)
        count++;
    char **environment = mmap(NULL, (count + 2) * sizeof *environment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (environment == MAP_FAILED)
        _exit(EXIT_SYSTEM);
    for (size_t i = 0; i < count; i++)
        if (strncmp(given[i], channel, sizeof channel - 2) != 0 && strncmp(given[i], id, sizeof id - 1) != 0)
            environment[kept++] = given[i];
    environment[kept] = channel;
    return environment;
}

static _Noreturn void fail_to_start(int failure_pipe, const char *program, char *const environment[])
{
    struct start_failure failure = {.stage = "exec", .error = errno};
    if (failure_pipe < 0)
        _exit(execute_explain(program, failure.error, environment));
    ssize_t written = write(failure_pipe, &failure, sizeof failure);
    (void)written;
    _exit(failure.error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE);
}

/* `failure_pipe`: who asked is told by it why nothing runs; -1: nobody asked, stderr is told. */
static _Noreturn void be_supervisor(const struct supervisor *supervisor, int channel, int failure_pipe)
{
    char **arguments = (char **)first_arguments, **environment = (char **)first_environment;
    /* out of reach of the terminal's signals: those are the init's to receive, and its to hear of from the init */
    setsid();
    spawn_restore();
    give_way();
    if (supervisor->program >= 0 && !program_read(supervisor->program, &arguments, &environment))
        fail_to_start(failure_pipe, "the program that was kept", environment);
    if (failure_pipe == CHANNEL_FD)
        failure_pipe = fcntl(failure_pipe, F_DUPFD_CLOEXEC, CHANNEL_FD + 1);
    if (channel == CHANNEL_FD)
        fcntl(channel, F_SETFD, 0);
    else
        dup2(channel, CHANNEL_FD);
    environment = environment_with_channel(environment);
    early_set_mask(early_given_mask());
    execute(arguments, environment);
    fail_to_start(failure_pipe, arguments[0], environment);
}

bool supervisor_fork(struct line *line, int failure_pipe, int64_t now)
{
    struct supervisor *supervisor = &line->supervisor;
    int ends[2];
    supervisor->started_at = now;
    supervisor->start_at = now + LONGEST_DELAY_MS; /* should it fail */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    pid_t forked = fork();
    if (forked == 0)
        be_supervisor(supervisor, ends[1], failure_pipe);
    int error = errno;
    close(ends[1]);
    if (forked < 0) {
        close(ends[0]);
        errno = error;
        return false;
    }
    supervisor->pid = forked;
    supervisor->started++;
    supervisor->closed_at = supervisor->stopped_at = INT64_MAX;
    supervisor->killed = supervisor->was_ready = false;
    line->channel = ends[0];
    return true;
}

static void start_again(struct line *line, int64_t now)
{
    struct supervisor *supervisor = &line->supervisor;
    if (supervisor_fork(line, -1, now)) {
        supervisor->failed_starts = 0;
        return;
    }
    /* whoever runs a container can do more about one that has never begun than we can; services that run are worth waiting for */
    bool hopeless = supervisor->started == 0 && ++supervisor->failed_starts >= MOST_FAILED_STARTS;
    if (supervisor->started == 0)
        supervisor->start_at = now + FAILED_START_MS;
    say("cannot start the supervisor: %s; %s", strerror(errno),
        hopeless ? "giving up" : supervisor->started == 0 ? "again in 0.5 s" : "again in 5 s");
    if (hopeless)
        stop_as_last_resort(line, EXIT_SYSTEM, "the supervisor cannot be started", now);
}

/* Without having done anything meanwhile, and more than can be a coincidence. */
static bool dies_too_often(struct supervisor *supervisor, int64_t now)
{
    supervisor->deaths[supervisor->death_count++ % SUPERVISOR_DEATHS] = now;
    /* what will be overwritten next is the oldest of the last ten */
    return supervisor->death_count >= SUPERVISOR_DEATHS &&
           now - supervisor->deaths[supervisor->death_count % SUPERVISOR_DEATHS] <= DEATHS_WITHIN_MS;
}

static void start_later(struct line *line, int status, bool was_well, int64_t now)
{
    struct supervisor *supervisor = &line->supervisor;
    if (was_well || now - supervisor->started_at >= HEALTHY_MS)
        supervisor->delay_ms = 0;
    int64_t delay = supervisor->delay_ms;
    supervisor->start_at = now + delay;
    if (WIFSIGNALED(status))
        say("the supervisor died of signal %d; starting it again in %lld ms", WTERMSIG(status), (long long)delay);
    else
        say("the supervisor ended with code %d; starting it again in %lld ms", WEXITSTATUS(status), (long long)delay);
    supervisor->delay_ms = delay == 0 ? FIRST_DELAY_MS : delay * 2 > LONGEST_DELAY_MS ? LONGEST_DELAY_MS : delay * 2;
}

/* Nothing was done, so it is no success, whatever it says. */
static int gave_up(int status)
{
    return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_BUG;
}

void supervisor_ended(struct line *line, int status, int64_t now)
{
    struct supervisor *supervisor = &line->supervisor;
    /* It had come as far as to work: whatever killed it, the next one will, too. One that no longer answered is not well. */
    bool was_well = supervisor->was_ready && !supervisor->killed;
    supervisor->pid = 0;
    supervisor->died_at = now;
    if (line->channel >= 0)
        close(line->channel);
    line->channel = -1;
    report_lost(line);
    if (supervisor->has_failed)
        line_close(line, false);
    else if (stop_has_begun(line))
        return;
    /* A candidate that fails has failed: it is for whoever wanted it to try again. */
    else if (!line->was_primary)
        stop_abandon(line, status, now);
    /* It found something wrong and said so before there was anything to supervise: to repeat that helps nobody. */
    else if (supervisor->started == 1 && !line->report.ever_greeted && WIFEXITED(status))
        stop_as_last_resort(line, gave_up(status), "the supervisor gave up", now);
    else if (standby_is_on(line))
        supervisor->delay_ms = supervisor->start_at = 0;
    else if (!was_well && dies_too_often(supervisor, now))
        stop_as_last_resort(line, EXIT_BUG, "the supervisor died 10 times within 60 s", now);
    else
        start_later(line, status, was_well, now);
}

void supervisor_closed(struct line *line, int64_t now)
{
    line->supervisor.closed_at = now;
}

void supervisor_look(struct line *line, int64_t now)
{
    struct supervisor *supervisor = &line->supervisor;
    siginfo_t info = {0};
    if (supervisor->pid == 0 || waitid(P_PID, (id_t)supervisor->pid, &info, WSTOPPED | WCONTINUED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    supervisor->stopped_at = info.si_code == CLD_STOPPED ? now : INT64_MAX;
}

/* When a living supervisor has had its time to answer; INT64_MAX while nothing is asked of it. */
static int64_t answer_deadline(const struct line *line)
{
    const struct supervisor *supervisor = &line->supervisor;
    const struct waiting *stop = inbox_stop(&line->inbox);
    int64_t deadline = supervisor->closed_at == INT64_MAX ? INT64_MAX : supervisor->closed_at + ANSWER_MS;
    if (stop == NULL)
        return deadline;
    int64_t asked = stop->sent_at != 0 ? stop->sent_at : stop->received_at;
    int64_t answer = report_is_ready(line) ? asked + ANSWER_MS : supervisor->started_at + BOOT_MS;
    if (answer < asked + ANSWER_MS)
        answer = asked + ANSWER_MS;
    return answer < deadline ? answer : deadline;
}

/* One that stands still serves nobody: no probe, no order, no service that dies. What it watched over does not notice the change. */
static int64_t stopped_deadline(const struct line *line)
{
    int64_t since = line->supervisor.stopped_at;
    return since == INT64_MAX ? INT64_MAX : since + STOPPED_MS;
}

static int64_t kill_deadline(const struct line *line)
{
    int64_t answer = answer_deadline(line), stopped = stopped_deadline(line);
    return answer < stopped ? answer : stopped;
}

static void watch_living(struct line *line, int64_t now)
{
    struct supervisor *supervisor = &line->supervisor;
    const struct waiting *stop = inbox_stop(&line->inbox);
    if (supervisor->killed || now < kill_deadline(line))
        return;
    supervisor->killed = true;
    kill(supervisor->pid, SIGKILL);
    if (now < answer_deadline(line)) {
        say("the supervisor has been stopped for %d s: SIGKILL", STOPPED_MS / 1000);
        return;
    }
    if (stop != NULL && !report_is_ready(line)) {
        /* another one would not boot faster */
        say("the supervisor has not become ready in %d s and signal %d waits", BOOT_MS / 1000, stop->number);
        stop_as_last_resort(line, 128 + stop->number, "no supervisor", now);
        return;
    }
    say("the supervisor does not answer: SIGKILL");
}

/* How long a stop signal waits for a supervisor: from when both were there, the signal and the lack of one. */
static int64_t last_resort_deadline(const struct line *line)
{
    const struct waiting *stop = inbox_stop(&line->inbox);
    if (stop == NULL)
        return INT64_MAX;
    return (stop->received_at > line->supervisor.died_at ? stop->received_at : line->supervisor.died_at) + ANSWER_MS;
}

/* A stop signal does not wait for the delay, once. */
static int64_t start_deadline(const struct line *line)
{
    const struct waiting *stop = inbox_stop(&line->inbox);
    return stop != NULL && stop->received_at > line->supervisor.started_at ? stop->received_at : line->supervisor.start_at;
}

static void watch_dead(struct line *line, int64_t now)
{
    if (now >= last_resort_deadline(line))
        stop_as_last_resort(line, 128 + inbox_stop(&line->inbox)->number, "there is no supervisor", now);
    else if (now >= start_deadline(line))
        start_again(line, now);
}

static bool is_watched(const struct line *line)
{
    return line->supervisor.enabled && !stop_has_begun(line);
}

void supervisor_turn(struct line *line, int64_t now)
{
    if (!is_watched(line))
        return;
    if (line->supervisor.pid != 0)
        watch_living(line, now);
    else if (standby_is_on(line))
        standby_turn(line, now);
    else
        watch_dead(line, now);
}

int64_t supervisor_deadline(const struct line *line)
{
    if (!is_watched(line))
        return INT64_MAX;
    if (line->supervisor.pid != 0)
        return line->supervisor.killed ? INT64_MAX : kill_deadline(line);
    if (standby_is_on(line))
        return standby_deadline(line);
    int64_t last_resort = last_resort_deadline(line), start_at = start_deadline(line);
    return last_resort < start_at ? last_resort : start_at;
}

void supervisor_visit(struct state *state, struct supervisor *supervisor)
{
    char key[] = "death-0";
    STATE_FLAG(state, "enabled", supervisor->enabled);
    STATE_NUMBER(state, "pid", supervisor->pid, 0, INT32_MAX);
    state_fd(state, "program", &supervisor->program);
    STATE_NUMBER(state, "started", supervisor->started, 0, UINT32_MAX);
    STATE_AMOUNT(state, "started-at", supervisor->started_at);
    STATE_AMOUNT(state, "start-at", supervisor->start_at);
    STATE_AMOUNT(state, "closed-at", supervisor->closed_at);
    STATE_AMOUNT(state, "stopped-at", supervisor->stopped_at);
    STATE_AMOUNT(state, "died-at", supervisor->died_at);
    STATE_AMOUNT(state, "delay", supervisor->delay_ms);
    STATE_NUMBER(state, "failed-starts", supervisor->failed_starts, 0, UINT32_MAX);
    STATE_FLAG(state, "killed", supervisor->killed);
    STATE_FLAG(state, "was-ready", supervisor->was_ready);
    STATE_NUMBER(state, "deaths", supervisor->death_count, 0, UINT32_MAX);
    for (int i = 0; i < SUPERVISOR_DEATHS; i++) {
        key[sizeof key - 2] = (char)('0' + i);
        STATE_AMOUNT(state, key, supervisor->deaths[i]);
    }
    state_fd(state, "start-pipe", &supervisor->start_pipe);
    STATE_FLAG(state, "has-failed", supervisor->has_failed);
    STATE_NUMBER(state, "asked-by", supervisor->asked_by, 0, INT32_MAX);
    STATE_NUMBER(state, "asked-by-restart", supervisor->asked_by_restart, 0, UINT32_MAX);
}
