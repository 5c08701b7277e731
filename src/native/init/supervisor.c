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
#include "children.h"
#include "early.h"
#include "execute.h"
#include "inbox.h"
#include "report.h"
#include "say.h"
#include "spawn.h"
#include "stop.h"

enum {
    CHANNEL_FD = 3,
    FIRST_DELAY_MS = 100,
    LONGEST_DELAY_MS = 5000,
    HEALTHY_MS = 10000, /* after so long a life a death is the first again */
    DEATHS = 10,        /* within */
    DEATHS_WITHIN_MS = 60000,
    ANSWER_MS = 2000, /* for the acknowledgement of a stop signal */
    BOOT_MS = 10000,  /* for READY, when a stop signal waits */
};

static char *const *arguments;
static char *const *given_environment;
static bool enabled;
static pid_t pid;
static unsigned started; /* how many */
static int64_t started_at, start_at, closed_at, died_at;
static int64_t delay_ms;
static bool killed;
static int64_t deaths[DEATHS];
static unsigned death_count;

void supervisor_init(char *const argv[], char *const environment[])
{
    arguments = argv;
    given_environment = environment;
    enabled = true;
    start_at = 0;
}

pid_t supervisor_pid(void)
{
    return pid;
}

unsigned supervisor_restarts(void)
{
    return started == 0 ? 0 : started - 1;
}

static char **environment_with_channel(void)
{
    static char channel[] = "PINGORA_ENTRY_CHANNEL=3";
    size_t count = 0, kept = 0;
    while (given_environment[count] != NULL)
        count++;
    char **environment = mmap(NULL, (count + 2) * sizeof *environment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (environment == MAP_FAILED)
        _exit(EXIT_SYSTEM);
    for (size_t i = 0; i < count; i++)
        if (strncmp(given_environment[i], channel, sizeof channel - 2) != 0)
            environment[kept++] = given_environment[i];
    environment[kept] = channel;
    return environment;
}

static _Noreturn void be_supervisor(int channel)
{
    /* out of reach of the terminal's signals: those are the init's to receive, and its to hear of from the init */
    setsid();
    spawn_restore();
    if (channel == CHANNEL_FD)
        fcntl(channel, F_SETFD, 0);
    else
        dup2(channel, CHANNEL_FD);
    char **environment = environment_with_channel();
    early_set_mask(early_given_mask());
    execute(arguments, environment);
    _exit(execute_explain(arguments[0], errno, environment));
}

static void start(int64_t now)
{
    int ends[2];
    start_at = now + LONGEST_DELAY_MS;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        say("cannot start the supervisor: socketpair: %s; again in 5 s", strerror(errno));
        return;
    }
    pid_t forked = fork();
    if (forked == 0)
        be_supervisor(ends[1]);
    close(ends[1]);
    if (forked < 0) {
        say("cannot start the supervisor: fork: %s; again in 5 s", strerror(errno));
        close(ends[0]);
        return;
    }
    pid = forked;
    started++;
    started_at = now;
    closed_at = INT64_MAX;
    killed = false;
    channel_open(ends[0]);
}

/* More than can be a coincidence. */
static bool dies_too_often(int64_t now)
{
    deaths[death_count++ % DEATHS] = now;
    /* what will be overwritten next is the oldest of the last ten */
    return death_count >= DEATHS && now - deaths[death_count % DEATHS] <= DEATHS_WITHIN_MS;
}

void supervisor_ended(int status, int64_t now)
{
    pid = 0;
    died_at = now;
    channel_close();
    report_lost();
    if (stop_has_begun())
        return;
    /* It found something wrong and said so before there was anything to supervise: to repeat that helps nobody. */
    if (started == 1 && !report_has_ever_greeted() && WIFEXITED(status)) {
        stop_as_last_resort(WEXITSTATUS(status), "the supervisor gave up", now);
        return;
    }
    if (dies_too_often(now)) {
        stop_as_last_resort(EXIT_BUG, "the supervisor died 10 times within 60 s", now);
        return;
    }
    if (now - started_at >= HEALTHY_MS)
        delay_ms = 0;
    start_at = now + delay_ms;
    if (WIFSIGNALED(status))
        say("the supervisor died of signal %d; starting it again in %lld ms", WTERMSIG(status), (long long)delay_ms);
    else
        say("the supervisor ended with code %d; starting it again in %lld ms", WEXITSTATUS(status), (long long)delay_ms);
    delay_ms = delay_ms == 0 ? FIRST_DELAY_MS : delay_ms * 2 > LONGEST_DELAY_MS ? LONGEST_DELAY_MS : delay_ms * 2;
}

void supervisor_closed(int64_t now)
{
    closed_at = now;
}

/* When a living supervisor has had its time to answer; INT64_MAX while nothing is asked of it. */
static int64_t answer_deadline(void)
{
    const struct waiting *stop = inbox_stop();
    int64_t deadline = closed_at == INT64_MAX ? INT64_MAX : closed_at + ANSWER_MS;
    if (stop == NULL)
        return deadline;
    int64_t asked = stop->sent_at != 0 ? stop->sent_at : stop->received_at;
    int64_t answer = report_is_ready() ? asked + ANSWER_MS : started_at + BOOT_MS;
    if (answer < asked + ANSWER_MS)
        answer = asked + ANSWER_MS;
    return answer < deadline ? answer : deadline;
}

static void watch_living(int64_t now)
{
    const struct waiting *stop = inbox_stop();
    if (killed || now < answer_deadline())
        return;
    killed = true;
    kill(pid, SIGKILL);
    if (stop != NULL && !report_is_ready()) {
        /* another one would not boot faster */
        say("the supervisor has not become ready in %d s and signal %d waits", BOOT_MS / 1000, stop->number);
        stop_as_last_resort(128 + stop->number, "no supervisor", now);
        return;
    }
    say("the supervisor does not answer: SIGKILL");
}

/* How long a stop signal waits for a supervisor: from when both were there, the signal and the lack of one. */
static int64_t last_resort_deadline(const struct waiting *stop)
{
    if (stop == NULL)
        return INT64_MAX;
    return (stop->received_at > died_at ? stop->received_at : died_at) + ANSWER_MS;
}

static void watch_dead(int64_t now)
{
    const struct waiting *stop = inbox_stop();
    if (now >= last_resort_deadline(stop))
        stop_as_last_resort(128 + stop->number, "there is no supervisor", now);
    else if (now >= start_at || (stop != NULL && stop->received_at > started_at))
        start(now);
}

void supervisor_turn(int64_t now)
{
    if (!enabled || stop_has_begun())
        return;
    if (pid != 0)
        watch_living(now);
    else
        watch_dead(now);
}

int64_t supervisor_deadline(void)
{
    if (!enabled || stop_has_begun())
        return INT64_MAX;
    if (pid != 0)
        return killed ? INT64_MAX : answer_deadline();
    int64_t last_resort = last_resort_deadline(inbox_stop());
    return last_resort < start_at ? last_resort : start_at;
}
