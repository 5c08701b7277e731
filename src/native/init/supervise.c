#define _GNU_SOURCE
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "children.h"
#include "daemon.h"
#include "descriptors.h"
#include "greeting.h"
#include "inbox.h"
#include "line.h"
#include "node.h"
#include "number.h"
#include "orders.h"
#include "replace.h"
#include "report.h"
#include "say.h"
#include "snapshot.h"
#include "spawn.h"
#include "state.h"
#include "stop.h"
#include "successor.h"
#include "supervisor.h"
#include "watch.h"

enum { SPAWNER_CHANNEL_FD = 3, ORDERS_PER_TURN = 64 };

static bool is_spawner, warn_on_reap;

static void child_has_started(int slot)
{
    struct child *child = children_at(slot);
    const struct line *line = line_at(child->line);
    int fd = child->start_pipe;
    /* before it is closed */
    watch_end(fd);
    if (!spawn_started(slot)) {
        watch_child(slot, fd);
        return;
    }
    if (!report_has_greeted(line) || child->supervisor != supervisor_restarts(line)) {
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
    } else if (!child->forgotten && report_has_greeted(line_at(child->line))) {
        child->owes_exit = true;
        children_owe(slot);
    }
}

static void successor_has_started(struct line *line)
{
    int fd = line->supervisor.start_pipe;
    watch_end(fd);
    if (!successor_started(line))
        watch_successor(line);
}

/* What a supervisor sent before it died was meant. */
static void obey_all(struct line *line, int64_t now)
{
    struct message message;
    while (line->channel >= 0 && channel_receive(line->channel, &message) == CHANNEL_MESSAGE) {
        orders_obey(line, &message, now);
        message_close(&message);
    }
}

static void supervisor_has_ended(struct line *line, int status, int64_t now)
{
    if (line->supervisor.start_pipe >= 0)
        successor_has_started(line);
    obey_all(line, now);
    watch_end_channel(line);
    supervisor_ended(line, status, now);
}

static void reap(int64_t now)
{
    for (;;) {
        int status, slot;
        struct rusage usage;
        struct line *line;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return;
        if ((slot = children_by_pid(pid)) != CHILD_NONE) {
            child_has_ended(slot, status, &usage, now);
        } else if ((line = line_by_supervisor(pid)) != NULL) {
            supervisor_has_ended(line, status, now);
        } else if (!standby_reap(pid, status, now) && !replace_reap(pid)) {
            report_orphan();
            if (warn_on_reap)
                say("reaped %d, whose parent had left it", (int)pid);
        }
        stop_look();
    }
}

/* A stop is everybody's; what else there is to be told is for the one that serves. */
static void tell_signal(const struct signalfd_siginfo *info, int64_t now)
{
    int number = (int)info->ssi_signo;
    bool is_for_all = number == SIGTERM || number == SIGINT;
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        if (is_for_all || line_is_primary(line))
            inbox_add(&line->inbox, number, (pid_t)info->ssi_pid, (uid_t)info->ssi_uid, now);
}

static void take_signal(const struct signalfd_siginfo *info, int64_t now)
{
    int number = (int)info->ssi_signo;
    bool own = info->ssi_pid == (uint32_t)getpid() && info->ssi_code <= 0;
    /* 32 and 33 are the C library's; a PIPE of our own is a stderr that nobody reads */
    if (is_spawner || number == SIGCHLD || number == 32 || number == 33 || (number == SIGPIPE && own))
        return;
    if (inbox_is_stop(number))
        stop_hurry(now);
    tell_signal(info, now);
}

static void take_signals(int64_t now)
{
    /*
     * A few a turn: the kernel searches all that are queued for each one it gives out, lowest number first, so a flood of real-time signals
     * takes seconds to read, and TERM and CHLD come before it. What is left wakes us again.
     */
    struct signalfd_siginfo infos[8];
    ssize_t length = read(watch_signals(), infos, sizeof infos);
    for (ssize_t i = 0; i < length / (ssize_t)sizeof infos[0]; i++)
        take_signal(&infos[i], now);
    reap(now);
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        supervisor_look(line, now);
}

static void channel_has_ended(struct line *line, int64_t now)
{
    watch_end_channel(line);
    close(line->channel);
    line->channel = -1;
    report_lost(line);
    if (!is_spawner)
        supervisor_closed(line, now);
    else
        stop_as_last_resort(line, children_alive(line_slot(line)) > 0 ? EXIT_BUG : 0, "the program that started this spawner is gone", now);
}

static void take_orders(struct line *line, int64_t now)
{
    for (int count = 0; count < ORDERS_PER_TURN && line->channel >= 0 && !report_is_busy(line); count++) {
        struct message message;
        switch (channel_receive(line->channel, &message)) {
        case CHANNEL_NOTHING:
            return;
        case CHANNEL_CLOSED:
            channel_has_ended(line, now);
            return;
        case CHANNEL_MESSAGE:
            orders_obey(line, &message, now);
            message_close(&message);
            report_flush(line, now);
        }
    }
}

static int64_t first_deadline(void)
{
    int64_t first = stop_deadline(), replace_at = replace_deadline();
    if (replace_at < first)
        first = replace_at;
    for (const struct line *line = line_next(NULL); line != NULL; line = line_next(line)) {
        int64_t deadlines[] = {supervisor_deadline(line), report_deadline(line)};
        for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++)
            if (deadlines[i] < first)
                first = deadlines[i];
    }
    return first;
}

static int time_to_wait(int64_t now)
{
    int64_t first = first_deadline();
    if (first == INT64_MAX)
        return -1;
    return first <= now ? 0 : first - now > 3600000 ? 3600000 : (int)(first - now);
}

static void wait_for_events(int timeout)
{
    struct watch_event events[WATCH_MOST_EVENTS];
    int count = watch_wait(timeout, events);
    int64_t now = number_now();
    for (int i = 0; i < count; i++) {
        int slot = events[i].slot;
        if (events[i].source == WATCH_SIGNALS)
            take_signals(now);
        else if (events[i].source == WATCH_CHANNEL)
            take_orders(line_at(slot), now);
        else if (events[i].source == WATCH_CHECKER)
            replace_answered();
        else if (events[i].source == WATCH_SUCCESSOR && line_at(slot)->supervisor.start_pipe >= 0)
            successor_has_started(line_at(slot));
        else if (events[i].source == WATCH_CHILD && children_at(slot)->state == CHILD_STARTING)
            child_has_started(slot);
    }
}

static void flush_all(int64_t now)
{
    for (int slot = 0; slot < LINE_MOST; slot++) {
        struct line *line = line_at(slot);
        if (line->state == LINE_ALIVE)
            watch_channel(line, report_flush(line, now));
        else
            watch_end_channel(line); /* one that had to be given up */
    }
}

static bool is_ready(void)
{
    const struct line *primary = line_primary();
    return primary != NULL && report_is_ready(primary);
}

static int serve(void)
{
    for (;;) {
        int64_t now = number_now();
        int code;
        for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
            supervisor_turn(line, now);
        if (stop_turn(now, &code))
            return code;
        replace_turn(now);
        flush_all(now);
        daemon_tell(is_ready());
        wait_for_events(time_to_wait(now));
    }
}

static void begin(char *const environment[])
{
    bool is_pid1 = getpid() == 1;
    if (!is_pid1)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    descriptors_inherit_none();
    greeting_init(is_pid1);
    orders_init((struct orders_watch){.child = watch_child, .successor = watch_successor});
    replace_init(environment, watch_checker);
}

int supervise(const struct options *options, char *const arguments[], char *const environment[])
{
    static struct node node;
    if (!node_find(environment, false, &node))
        return EXIT_NOT_FOUND;
    char **node_argv = node_arguments(&node, "run", arguments);
    if (node_argv == NULL || (options->daemon && !daemon_detach()))
        return EXIT_SYSTEM;
    begin(environment);
    spawn_remember();
    if (!watch_init())
        return EXIT_SYSTEM;
    warn_on_reap = options->warn_on_reap;
    supervisor_init(node_argv, environment);
    supervisor_enable(line_open());
    int code = serve();
    daemon_tell_end(code);
    return code;
}

static void watch_again(void)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        if (line->supervisor.start_pipe >= 0)
            watch_successor(line);
    for (int slot = 0; slot < children_end(); slot++)
        if (children_at(slot)->state == CHILD_STARTING)
            watch_child(slot, children_at(slot)->start_pipe);
}

int supervise_resume(const char *memory, char *const environment[])
{
    int64_t fd;
    const char *wrong = "no descriptor";
    begin(environment);
    if (number_parse(memory, STDERR_FILENO + 1, INT32_MAX, &fd))
        wrong = snapshot_read_file((int)fd);
    if (wrong != NULL) {
        say("cannot go on as an init: its state cannot be read (%s); --resume is for the init itself", wrong);
        return EXIT_BUG;
    }
    close((int)fd);
    if (!watch_init())
        return EXIT_SYSTEM;
    watch_again();
    replace_done();
    /* one whose SIGCHLD was taken is reaped already; this costs a call and asks nothing of that */
    reap(number_now());
    int code = serve();
    daemon_tell_end(code);
    return code;
}

int supervise_as_spawner(char *const environment[])
{
    is_spawner = true;
    if (fcntl(SPAWNER_CHANNEL_FD, F_GETFD) < 0) {
        say("--spawner is for programs that use the library: it needs a channel as descriptor 3");
        return EXIT_WRONG_USAGE;
    }
    begin(environment);
    spawn_remember();
    if (!watch_init())
        return EXIT_SYSTEM;
    line_open()->channel = SPAWNER_CHANNEL_FD;
    return serve();
}

void supervise_visit(struct state *state)
{
    STATE_FLAG(state, "warn-on-reap", warn_on_reap);
}
