#define _GNU_SOURCE
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "children.h"
#include "daemon.h"
#include "inbox.h"
#include "node.h"
#include "number.h"
#include "orders.h"
#include "report.h"
#include "say.h"
#include "spawn.h"
#include "stop.h"
#include "supervisor.h"

enum { SPAWNER_CHANNEL_FD = 3, CLOEXEC_FROM = 3, ORDERS_PER_TURN = 64 };

enum source { SIGNALS, CHANNEL, START };

static int epoll, signals;
static bool is_spawner, warn_on_reap;
static int watched_channel = -1;
static uint32_t watched_events;

static bool make_poll(void)
{
    static const signal_set all = ~(signal_set)0;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SIGNALS};
    signals = (int)syscall(SYS_signalfd4, -1, &all, sizeof all, SFD_CLOEXEC | SFD_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (signals >= 0 && epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event) == 0)
        return true;
    say("cannot begin: %s", strerror(errno));
    return false;
}

static void watch_start(int slot, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = START | (uint64_t)slot << 8};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* While an answer waits for room no order is read, and a level that nobody lowers would keep us awake. */
static void watch_channel(bool wants_room)
{
    uint32_t events = (report_is_busy() ? 0u : (uint32_t)EPOLLIN) | (wants_room ? (uint32_t)EPOLLOUT : 0u);
    int fd = channel_fd();
    struct epoll_event event = {.events = events, .data.u64 = CHANNEL};
    if (fd == watched_channel && (fd < 0 || events == watched_events))
        return;
    if (fd >= 0)
        epoll_ctl(epoll, fd == watched_channel ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    watched_channel = fd;
    watched_events = events;
}

/* Before it is closed: a child forked meanwhile has a copy until it executes, and that would keep it in the set. */
static void unwatch_channel(void)
{
    if (watched_channel >= 0)
        epoll_ctl(epoll, EPOLL_CTL_DEL, watched_channel, NULL);
    watched_channel = -1;
}

static void child_has_started(int slot)
{
    struct child *child = children_at(slot);
    int fd = child->start_pipe;
    /* before it is closed, as above */
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    if (!spawn_started(slot)) {
        watch_start(slot, fd);
        return;
    }
    if (!report_has_greeted() || child->supervisor != supervisor_restarts()) {
        /* who asked is gone: to the next one it is a child that ended at once */
        child->state = CHILD_RUNNING;
        return;
    }
    child->owes_start = true;
    children_owe(slot);
}

static void child_has_ended(int slot, int status, const struct rusage *usage, int64_t now)
{
    struct child *child = children_at(slot);
    if (child->state == CHILD_STARTING)
        child_has_started(slot);
    children_mark_reaped(slot);
    if (child->state == CHILD_FAILED) {
        /* SPAWN-FAILED tells all */
        if (!child->queued)
            children_remove(slot);
        return;
    }
    children_set_exit(child, status, usage, now);
    child->state = CHILD_EXITED;
    if (child->forgotten && !child->queued) {
        children_remove(slot);
    } else if (!child->forgotten && report_has_greeted()) {
        child->owes_exit = true;
        children_owe(slot);
    }
}

/* What a supervisor sent before it died was meant. */
static void obey_all(int64_t now)
{
    struct message message;
    while (channel_fd() >= 0 && channel_receive(&message) == CHANNEL_MESSAGE) {
        orders_obey(&message, supervisor_restarts(), now);
        message_close(&message);
    }
}

static void reap(int64_t now)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return;
        int slot = children_by_pid(pid);
        if (slot != CHILD_NONE) {
            child_has_ended(slot, status, &usage, now);
        } else if (pid == supervisor_pid()) {
            obey_all(now);
            unwatch_channel();
            supervisor_ended(status, now);
        } else {
            report_orphan();
            if (warn_on_reap)
                say("reaped %d, whose parent had left it", (int)pid);
        }
    }
}

static void take_signal(const struct signalfd_siginfo *info, int64_t now)
{
    int number = (int)info->ssi_signo;
    bool own = info->ssi_pid == (uint32_t)getpid() && info->ssi_code <= 0;
    /* 32 and 33 are the C library's; a PIPE of our own is a stderr that nobody reads */
    if (is_spawner || number == SIGCHLD || number == 32 || number == 33 || (number == SIGPIPE && own))
        return;
    if (inbox_is_stop(number) && stop_has_begun())
        stop_hurry(now);
    inbox_add(number, (pid_t)info->ssi_pid, (uid_t)info->ssi_uid, now);
}

static void take_signals(int64_t now)
{
    struct signalfd_siginfo infos[8];
    ssize_t length;
    while ((length = read(signals, infos, sizeof infos)) > 0)
        for (size_t i = 0; i < (size_t)length / sizeof infos[0]; i++)
            take_signal(&infos[i], now);
    reap(now);
}

static void channel_has_ended(int64_t now)
{
    unwatch_channel();
    channel_close();
    report_lost();
    if (!is_spawner)
        supervisor_closed(now);
    else
        stop_as_last_resort(children_alive() > 0 ? EXIT_BUG : 0, "the program that started this spawner is gone", now);
}

static void take_orders(int64_t now)
{
    for (int count = 0; count < ORDERS_PER_TURN && channel_fd() >= 0 && !report_is_busy(); count++) {
        struct message message;
        switch (channel_receive(&message)) {
        case CHANNEL_NOTHING:
            return;
        case CHANNEL_CLOSED:
            channel_has_ended(now);
            return;
        case CHANNEL_MESSAGE:
            orders_obey(&message, supervisor_restarts(), now);
            message_close(&message);
            report_flush(now);
        }
    }
}

static int time_to_wait(int64_t now)
{
    int64_t deadlines[] = {stop_deadline(), supervisor_deadline(), report_deadline()};
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++)
        if (deadlines[i] < first)
            first = deadlines[i];
    if (first == INT64_MAX)
        return -1;
    return first <= now ? 0 : first - now > 3600000 ? 3600000 : (int)(first - now);
}

static void wait_for_events(int timeout)
{
    struct epoll_event events[32];
    int count = epoll_wait(epoll, events, 32, timeout);
    int64_t now = number_now();
    for (int i = 0; i < count; i++) {
        enum source source = (enum source)(events[i].data.u64 & 0xff);
        int slot = (int)(events[i].data.u64 >> 8);
        if (source == SIGNALS)
            take_signals(now);
        else if (source == CHANNEL)
            take_orders(now);
        else if (children_at(slot)->state == CHILD_STARTING)
            child_has_started(slot);
    }
}

static bool nobody_is_left(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

static int serve(void)
{
    for (;;) {
        int64_t now = number_now();
        int code;
        supervisor_turn(now);
        if (stop_turn(stop_has_begun() && nobody_is_left(), now, &code))
            return code;
        watch_channel(report_flush(now));
        daemon_tell(report_is_ready());
        wait_for_events(time_to_wait(now));
    }
}

static void inherit_nothing_on(unsigned first)
{
    if (syscall(SYS_close_range, first, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */) == 0)
        return;
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    for (unsigned fd = first; fd < limit.rlim_cur && fd < 65536; fd++)
        fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

static bool begin(void)
{
    bool is_pid1 = getpid() == 1;
    if (!is_pid1)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    inherit_nothing_on(CLOEXEC_FROM);
    spawn_remember();
    report_init(is_pid1);
    orders_init(watch_start);
    return make_poll();
}

int supervise(const struct options *options, char *const arguments[], char *const environment[])
{
    static struct node node;
    if (!node_find(environment, false, &node))
        return EXIT_NOT_FOUND;
    char **node_argv = node_arguments(&node, "run", arguments);
    if (node_argv == NULL || (options->daemon && !daemon_detach()) || !begin())
        return EXIT_SYSTEM;
    warn_on_reap = options->warn_on_reap;
    supervisor_init(node_argv, environment);
    int code = serve();
    daemon_tell_end(code);
    return code;
}

int supervise_as_spawner(char *const environment[])
{
    (void)environment;
    is_spawner = true;
    if (fcntl(SPAWNER_CHANNEL_FD, F_GETFD) < 0) {
        say("--spawner is for programs that use the library: it needs a channel as descriptor 3");
        return EXIT_WRONG_USAGE;
    }
    if (!begin())
        return EXIT_SYSTEM;
    channel_open(SPAWNER_CHANNEL_FD);
    return serve();
}
