#define _GNU_SOURCE
#include "wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"
#include "early.h"
#include "execute.h"
#include "number.h"
#include "proc.h"
#include "say.h"
#include "terminal.h"

/* where the child lives, and so what a forwarded signal reaches */
enum place {
    OWN_SESSION, /* its own session and group; the default */
    OWN_GROUP,   /* its own group in our session, which a shell leads: we are one of its jobs, in front or in the background */
    OUR_GROUP,   /* --no-group */
};

struct wrapped {
    const struct options *options;
    enum place place;
    bool child_ignores_sigchld;
    pid_t child;
    bool ended;
    int exit_code;
    int64_t forward_term_at; /* --stop-delay runs until then; 0: it does not run */
};

static const signal_set all_signals = ~(signal_set)0;

static void become_reaper(const struct options *options)
{
    if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 && (options->subreaper || options->verbose))
        say("cannot become a subreaper: %s; orphans of the command are left to PID 1", strerror(errno));
    if (options->parent_death_signal != 0) {
        pid_t parent = getppid();
        prctl(PR_SET_PDEATHSIG, options->parent_death_signal);
        if (getppid() != parent)
            kill(getpid(), options->parent_death_signal);
    }
}

/* Without a waitable SIGCHLD there is no exit code; the child gets back what we were given. */
static bool expect_children(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL}, given;
    sigaction(SIGCHLD, &standard, &given);
    return given.sa_handler == SIG_IGN;
}

/* LISTEN_PID=<us> was meant for the command: exec kept the pid, our fork did not. */
static void pass_listen_pid(char *environment[], pid_t init)
{
    static char replacement[40];
    char ours[40], digits[24];
    number_print(init, digits);
    snprintf(ours, sizeof ours, "LISTEN_PID=%s", digits);
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strcmp(environment[i], ours) != 0)
            continue;
        number_print(getpid(), digits);
        snprintf(replacement, sizeof replacement, "LISTEN_PID=%s", digits);
        environment[i] = replacement;
    }
}

static _Noreturn void be_child(const struct wrapped *wrapped, enum terminal_way way, pid_t init, char *const argv[], char *environment[])
{
    if (wrapped->place == OWN_SESSION)
        setsid();
    if (wrapped->place == OWN_GROUP)
        setpgid(0, 0);
    terminal_take(way);
    if (wrapped->options->parent_death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, wrapped->options->parent_death_signal);
        if (getppid() != init)
            kill(getpid(), wrapped->options->parent_death_signal);
    }
    if (wrapped->child_ignores_sigchld) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigaction(SIGCHLD, &ignore, NULL);
    }
    pass_listen_pid(environment, init);
    early_set_mask(early_given_mask());
    execute(argv, environment);
    _exit(execute_explain(argv[0], errno, environment));
}

static bool start(struct wrapped *wrapped, char *const argv[], char *environment[])
{
    enum terminal_way way = wrapped->options->no_group ? TERMINAL_NONE : terminal_find();
    bool is_job = way == TERMINAL_GROUP || way == TERMINAL_BACKGROUND;
    wrapped->place = wrapped->options->no_group ? OUR_GROUP : is_job ? OWN_GROUP : OWN_SESSION;
    wrapped->child_ignores_sigchld = expect_children();
    if (way == TERMINAL_SESSION)
        terminal_leave();
    pid_t init = getpid();
    wrapped->child = fork();
    if (wrapped->child < 0) {
        say("cannot start \"%s\": fork: %s", argv[0], strerror(errno));
        return false;
    }
    if (wrapped->child == 0)
        be_child(wrapped, way, init, argv, environment);
    return true;
}

/* What we keep open or stand in would stay busy for as long as the command runs. */
static void let_go(const struct wrapped *wrapped)
{
    if (chdir("/") < 0)
        say_verbose("cannot change to /: %s", strerror(errno));
    descriptors_close_from(STDERR_FILENO + 1);
    if (wrapped->place == OWN_GROUP)
        return; /* stdin is the terminal that we hand to and fro */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

static void send(const struct wrapped *wrapped, int number)
{
    say_verbose("signal %d to %d", number, (int)wrapped->child);
    /* until it has made itself a group there is none */
    if (wrapped->place == OUR_GROUP || kill(-wrapped->child, number) < 0)
        kill(wrapped->child, number);
}

static bool is_job_stop(int number)
{
    return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void forward(struct wrapped *wrapped, int number)
{
    int rewritten = wrapped->options->rewrite[number];
    if (rewritten == AS_RECEIVED)
        /* to a session leader, and to a group whose parents are all of another session, TSTP, TTIN and TTOU do nothing */
        rewritten = wrapped->place != OWN_GROUP && is_job_stop(number) ? SIGSTOP : number;
    if (rewritten != 0)
        send(wrapped, rewritten);
}

static void received(struct wrapped *wrapped, const siginfo_t *info)
{
    int number = info->si_signo;
    if (number == SIGPIPE && info->si_pid == getpid())
        return; /* nobody reads our stderr */
    /* what the terminal sends goes to a whole group, of which the child is one */
    bool child_has_it = wrapped->place == OUR_GROUP && info->si_code == SI_KERNEL &&
                        (number == SIGINT || number == SIGQUIT || number == SIGWINCH || is_job_stop(number));
    if (number == SIGTERM && wrapped->options->stop_delay_ms > 0 && wrapped->forward_term_at == 0) {
        wrapped->forward_term_at = number_now() + wrapped->options->stop_delay_ms;
        say_verbose("SIGTERM is forwarded in %lld ms", (long long)wrapped->options->stop_delay_ms);
        return;
    }
    if (number == SIGTERM)
        wrapped->forward_term_at = INT64_MAX; /* delayed or asked for twice: no second wait */
    if (number == SIGCONT && wrapped->place == OWN_GROUP)
        terminal_give(wrapped->child, wrapped->child);
    if (!child_has_it)
        forward(wrapped, number);
    if (is_job_stop(number))
        kill(getpid(), SIGSTOP);
}

static bool is_pending(int number)
{
    signal_set set = 0;
    syscall(SYS_rt_sigpending, &set, sizeof set);
    return set & SIGNAL_BIT(number);
}

/* The job that we are was stopped, by the key for it or because it wants the terminal: the shell waits for us to stop. */
static void child_stopped(struct wrapped *wrapped, int number)
{
    /* the stop that it is told of is over when somebody has resumed us since, and ours would take that back */
    if (!is_job_stop(number) || is_pending(SIGCONT))
        return;
    if (number != SIGTSTP && tcgetpgrp(STDIN_FILENO) == getpgrp()) {
        /* brought to the front while it ran: the shell sends no CONT for that */
        terminal_give(wrapped->child, wrapped->child);
        send(wrapped, SIGCONT);
        return;
    }
    terminal_give(getpgrp(), wrapped->child);
    kill(getpid(), SIGSTOP);
}

static int code_of(const struct options *options, int status)
{
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return options->becomes_zero[code / 32] & (1u << (code % 32)) ? 0 : code;
}

/* Waits for all that have ended; false when no child is left at all. */
static bool reap(struct wrapped *wrapped)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG | (wrapped->place == OWN_GROUP ? WUNTRACED : 0));
        if (pid == 0)
            return true;
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return false;
        if (WIFSTOPPED(status)) {
            if (pid == wrapped->child)
                child_stopped(wrapped, WSTOPSIG(status));
        } else if (pid == wrapped->child) {
            wrapped->ended = true;
            wrapped->exit_code = code_of(wrapped->options, status);
        } else if (wrapped->options->warn_on_reap) {
            say("reaped %d, whose parent had left it", (int)pid);
        }
    }
}

/* Waits for a signal; 0 when `deadline` (0: none) came first. */
static int next_signal(int64_t deadline, siginfo_t *info)
{
    int64_t left = deadline == 0 ? 0 : deadline - number_now();
    if (left < 0)
        left = 0;
    struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
    int number;
    do
        number = (int)syscall(SYS_rt_sigtimedwait, &all_signals, info, deadline == 0 ? NULL : &wait, sizeof all_signals);
    while (number < 0 && errno == EINTR && deadline == 0);
    return number < 0 ? 0 : number;
}

/* Without /proc, PID 1 can name all there are; anybody else only the child's group. */
static int signal_unseen(const struct wrapped *wrapped, int number)
{
    pid_t all = getpid() == 1 ? -1 : -wrapped->child;
    if (kill(all, number) < 0)
        return 0;
    if (number == SIGTERM)
        kill(all, SIGCONT);
    return 1;
}

/* Sends `number` to what the child has left behind in its session or group; returns how many there are. */
static int signal_rest(const struct wrapped *wrapped, int number)
{
    struct proc_walk walk;
    struct process process;
    if (!proc_begin(&walk))
        return signal_unseen(wrapped, number);
    int count = 0;
    while (proc_next(&walk, &process)) {
        pid_t belongs = wrapped->place == OWN_SESSION ? process.session : process.group;
        if (belongs != wrapped->child || process.state == 'Z' || process.state == 'X')
            continue;
        count++;
        if (number == 0)
            continue;
        kill(process.pid, number);
        if (number == SIGTERM)
            kill(process.pid, SIGCONT); /* a stopped process would not notice */
    }
    proc_end(&walk);
    return count;
}

static bool is_stop(int number)
{
    return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

/* The child has ended: TERM for the rest, KILL after the grace or when somebody asks us to hurry. */
static void end_rest(struct wrapped *wrapped)
{
    enum { BETWEEN_LOOKS_MS = 20, AFTER_KILL_MS = 1000 };
    bool any_child = reap(wrapped);
    /* each orphan is a child of ours: none left, nothing to look for */
    if (!any_child || wrapped->place == OUR_GROUP || signal_rest(wrapped, SIGTERM) == 0)
        return;
    int64_t grace_ends = number_now() + wrapped->options->reap_grace_ms;
    int64_t look_at = INT64_MAX;
    while (number_now() < grace_ends) {
        siginfo_t info;
        int number = next_signal(look_at < grace_ends ? look_at : grace_ends, &info);
        if (is_stop(number))
            break;
        if (number == SIGCHLD && !reap(wrapped))
            return;
        /* ten thousand that end one after the other need no ten thousand looks */
        if (number == SIGCHLD && look_at == INT64_MAX)
            look_at = number_now() + BETWEEN_LOOKS_MS;
        if (number_now() < look_at)
            continue;
        if (signal_rest(wrapped, 0) == 0)
            return;
        look_at = INT64_MAX;
    }
    int64_t give_up = number_now() + AFTER_KILL_MS;
    while (signal_rest(wrapped, SIGKILL) > 0 && number_now() < give_up) {
        siginfo_t info;
        next_signal(number_now() + BETWEEN_LOOKS_MS, &info);
        reap(wrapped);
    }
}

int wrap(const struct options *options, char *const argv[], char *const environment[])
{
    struct wrapped wrapped = {.options = options};
    become_reaper(options);
    if (!start(&wrapped, argv, (char **)environment))
        return EXIT_SYSTEM;
    let_go(&wrapped);
    while (!wrapped.ended) {
        siginfo_t info;
        int64_t delayed = wrapped.forward_term_at == INT64_MAX ? 0 : wrapped.forward_term_at;
        int number = next_signal(delayed, &info);
        if (number == SIGCHLD)
            reap(&wrapped);
        else if (number != 0)
            received(&wrapped, &info);
        if (delayed != 0 && number_now() >= delayed && !wrapped.ended) {
            wrapped.forward_term_at = INT64_MAX;
            forward(&wrapped, SIGTERM);
        }
    }
    end_rest(&wrapped);
    return wrapped.exit_code;
}
