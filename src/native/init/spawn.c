#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "children.h"
#include "early.h"
#include "execute.h"
#include "held.h"
#include "number.h"
#include "spawn_order.h"
#include "state.h"
#include "terminal.h"

static struct rlimit given_nofile;
static bool given_sigchld_ignored;

void spawn_remember(void)
{
    /* Held sockets and starting children are descriptors of ours: use all that we may have. */
    if (getrlimit(RLIMIT_NOFILE, &given_nofile) == 0) {
        struct rlimit most = {.rlim_cur = given_nofile.rlim_max, .rlim_max = given_nofile.rlim_max};
        setrlimit(RLIMIT_NOFILE, &most);
    }
    struct sigaction standard = {.sa_handler = SIG_DFL}, given;
    sigaction(SIGCHLD, &standard, &given);
    given_sigchld_ignored = given.sa_handler == SIG_IGN;
}

void spawn_restore(void)
{
    setrlimit(RLIMIT_NOFILE, &given_nofile);
    if (given_sigchld_ignored) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigaction(SIGCHLD, &ignore, NULL);
    }
}

void spawn_visit(struct state *state)
{
    /* RLIM_INFINITY is -1 here */
    STATE_NUMBER(state, "nofile-soft", given_nofile.rlim_cur, -1, INT64_MAX);
    STATE_NUMBER(state, "nofile-hard", given_nofile.rlim_max, -1, INT64_MAX);
    STATE_FLAG(state, "sigchld-ignored", given_sigchld_ignored);
}

/* The rest of this file up to spawn() runs in the child, which alone has this pipe. */
static int failure_pipe;

static _Noreturn void fail(const char *stage)
{
    struct start_failure failure = {.error = errno};
    strncpy(failure.stage, stage, sizeof failure.stage - 1);
    ssize_t written = write(failure_pipe, &failure, sizeof failure);
    (void)written;
    _exit(failure.error == ENOENT ? 127 : 126);
}

static void take_place(const struct spawn_order *order, enum terminal_way way)
{
    /* a terminal whose session is somebody else's can only be shared, not taken */
    bool session = order->session && !(order->tty && way == TERMINAL_GROUP);
    if (session ? setsid() < 0 : setpgid(0, 0) < 0)
        fail("session");
    if (order->tty)
        terminal_take(session ? TERMINAL_SESSION : way);
}

static void open_nothing_as_stdin(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        /* an image without /dev/null: a pipe that nobody writes to reads as empty, too */
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            fail("fd");
        close(ends[1]);
        fd = ends[0];
    }
    if (dup2(fd, STDIN_FILENO) < 0)
        fail("fd");
}

static int move_above(int fd, int highest)
{
    /* no target's number: where it is it is in nobody's way, and in an upgrade most are there */
    if (fd > highest)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, highest + 1);
    if (moved >= 0)
        return moved;
    /* said of a number beyond the limit, as of a nonsensical one */
    if (errno == EINVAL)
        errno = EMFILE;
    fail("fd");
}

static int source_of(const struct order_fd *placed, const int fds[], int line)
{
    if (placed->held == NULL)
        return fds[placed->index];
    int fd = held_fd(line, HELD_SOCKET, placed->held);
    if (fd >= 0)
        return fd;
    errno = ENOENT;
    fail("held");
}

static void place_fds(const struct spawn_order *order, const int fds[], int line)
{
    int highest = STDERR_FILENO;
    bool stdin_given = order->tty;
    for (size_t i = 0; i < order->fd_count; i++) {
        if (order->fds[i].target > highest)
            highest = order->fds[i].target;
        if (order->fds[i].target == STDIN_FILENO)
            stdin_given = true;
    }
    /* first everything out of the way, for a source may have the number of another's target */
    failure_pipe = move_above(failure_pipe, highest);
    int moved[ORDER_MOST_FDS];
    for (size_t i = 0; i < order->fd_count; i++)
        moved[i] = move_above(source_of(&order->fds[i], fds, line), highest);
    for (size_t i = 0; i < order->fd_count; i++)
        if (dup2(moved[i], order->fds[i].target) < 0)
            fail("fd");
    if (!stdin_given)
        open_nothing_as_stdin();
}

static void set_limits(const struct spawn_order *order)
{
    spawn_restore();
    for (size_t i = 0; i < order->limit_count; i++)
        if (setrlimit((unsigned)order->limits[i].resource, &order->limits[i].limit) < 0)
            fail("rlimit");
    if (order->has_nice && setpriority(PRIO_PROCESS, 0, order->nice) < 0)
        fail("nice");
    if (order->has_umask)
        umask(order->umask);
    if (!order->has_oom)
        return;
    char digits[24];
    int length = number_print(order->oom, digits);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, digits, (size_t)length) < 0)
        fail("oom");
    close(fd);
}

/* Without the right to change them, groups that are no more than what was asked for will do. */
static bool groups_are_within(const gid_t wanted[], size_t count)
{
    gid_t now[ORDER_MOST_GROUPS];
    int have = getgroups(ORDER_MOST_GROUPS, now);
    for (int i = 0; i < have; i++) {
        bool found = now[i] == getegid();
        for (size_t j = 0; j < count && !found; j++)
            found = now[i] == wanted[j];
        if (!found)
            return false;
    }
    return have >= 0;
}

static void set_identity(const struct spawn_order *order)
{
    const gid_t *groups = order->groups;
    size_t count = order->group_count;
    bool other_user = order->has_uid && order->uid != getuid();
    if (!order->has_groups && other_user) {
        /* another user must not keep what root belongs to */
        groups = &order->gid;
        count = order->has_gid ? 1 : 0;
    }
    /* gid first, then the rest: each step needs the right that a later one gives up */
    if (order->has_gid && setresgid(order->gid, order->gid, order->gid) < 0)
        fail("gid");
    if ((order->has_groups || other_user) && setgroups(count, groups) < 0 && !(errno == EPERM && groups_are_within(groups, count)))
        fail("groups");
    if (order->has_uid && setresuid(order->uid, order->uid, order->uid) < 0)
        fail("uid");
}

/* The init is to its children what PID 1 is to all: they do not outlive it. Last, for a change of user takes it back. */
static void die_with(pid_t init)
{
    if (init == 1)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != init)
        _exit(126);
}

static void *room_for_pointers(size_t count)
{
    void *room = mmap(NULL, count * sizeof(char *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        fail("exec");
    return room;
}

static char **collect(const struct spawn_order *order, const char *key, size_t count, size_t more)
{
    char **all = room_for_pointers(count + more + 1);
    struct frame fields = order->fields;
    size_t at = 0;
    for (const char *field; (field = frame_take(&fields)) != NULL;) {
        const char *value = spawn_order_value(field, key);
        if (value != NULL)
            all[at++] = (char *)value;
    }
    return all;
}

static char **environment_of(const struct spawn_order *order, const char *id)
{
    static char pids[ORDER_MOST_PIDENVS][ORDER_LONGEST_ID + 32];
    static char mark[ORDER_LONGEST_ID + 32];
    char **environment = collect(order, "e", order->environment_count, order->pidenv_count + 1);
    size_t kept = 0;
    for (size_t i = 0; environment[i] != NULL; i++)
        if (strncmp(environment[i], "PINGORA_ENTRY_ID=", 17) != 0 && strncmp(environment[i], "PINGORA_ENTRY_CHANNEL=", 22) != 0)
            environment[kept++] = environment[i];
    char digits[24];
    number_print(getpid(), digits);
    for (size_t i = 0; i < order->pidenv_count; i++) {
        snprintf(pids[i], sizeof pids[i], "%s=%s", order->pidenvs[i], digits);
        environment[kept++] = pids[i];
    }
    /* last: programs that write their title over it begin at the front */
    snprintf(mark, sizeof mark, "PINGORA_ENTRY_ID=%s", id);
    environment[kept++] = mark;
    environment[kept] = NULL;
    return environment;
}

static _Noreturn void be_child(const struct spawn_order *order, const char *id, const int fds[], int line, enum terminal_way way, pid_t init)
{
    take_place(order, way);
    place_fds(order, fds, line);
    set_limits(order);
    set_identity(order);
    if (order->cwd != NULL && chdir(order->cwd) < 0)
        fail("cwd");
    die_with(init);
    char **environment = environment_of(order, id);
    char **arguments = collect(order, "a", order->argument_count, 0);
    early_set_mask(0);
    execute(arguments, environment);
    fail("exec");
}

static int not_spawned(struct start_failure *failure, const char *stage, int error)
{
    memset(failure, 0, sizeof *failure);
    strncpy(failure->stage, stage, sizeof failure->stage - 1);
    failure->error = error;
    return CHILD_NONE;
}

int spawn(const char *id, struct frame *frame, const int fds[], size_t fd_count, int line, unsigned supervisor,
          struct start_failure *failure)
{
    static struct spawn_order order; /* large, and needed once at a time */
    const char *wrong = spawn_order_read(frame, fd_count, &order);
    if (wrong != NULL)
        return not_spawned(failure, wrong, EINVAL);
    if (id[0] == '\0' || strlen(id) > ORDER_LONGEST_ID)
        return not_spawned(failure, "id", EINVAL);
    if (children_by_id(id) != CHILD_NONE)
        return not_spawned(failure, "id", EEXIST);
    if (children_full())
        return not_spawned(failure, "table", ENFILE);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return not_spawned(failure, "fork", errno);
    enum terminal_way way = order.tty ? terminal_find() : TERMINAL_NONE;
    if (way == TERMINAL_SESSION && order.session)
        terminal_leave();
    pid_t init = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        failure_pipe = ends[1];
        be_child(&order, id, fds, line, way, init);
    }
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return not_spawned(failure, "fork", error);
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return children_add(id, pid, ends[0], line, supervisor);
}

bool spawn_started(int slot)
{
    struct child *child = children_at(slot);
    struct start_failure failure;
    ssize_t length = read(child->start_pipe, &failure, sizeof failure);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    close(child->start_pipe);
    child->start_pipe = -1;
    child->state = CHILD_RUNNING;
    if (length == (ssize_t)sizeof failure) {
        child->state = CHILD_FAILED;
        memcpy(child->stage, failure.stage, sizeof child->stage);
        child->stage[sizeof child->stage - 1] = '\0';
        child->error = failure.error;
    }
    return true;
}
