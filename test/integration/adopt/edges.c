/*
 * What a program may do to its socket and must find as usual, one way per run: edges PORT WAY. Says "ok" on stdout, or what is wrong. Compiled
 * for glibc and for musl; those that hold of every socket are run without the library, too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"
#include "must.h"

static int port;

static struct sockaddr_in address(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return a;
}

static int try_bind(int fd)
{
    struct sockaddr_in a = address();
    return bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int server(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    MUST(try_bind(fd) == 0 && listen(fd, 1) == 0);
    return fd;
}

static int client(void)
{
    struct sockaddr_in a = address();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static int readable(int fd, int milliseconds)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, milliseconds);
}

static void flags(void)
{
    int plain = server(0), other = server(SOCK_NONBLOCK | SOCK_CLOEXEC);
    MUST((fcntl(other, F_GETFD) & FD_CLOEXEC) && !(fcntl(plain, F_GETFD) & FD_CLOEXEC));
    MUST(fcntl(other, F_GETFL) & O_NONBLOCK);
    MUST(fcntl(other, F_SETFL, fcntl(other, F_GETFL) & ~O_NONBLOCK) == 0 && !(fcntl(other, F_GETFL) & O_NONBLOCK));
    int on = 1, off = 0;
    MUST(ioctl(other, FIONBIO, &on) == 0 && (fcntl(other, F_GETFL) & O_NONBLOCK));
    MUST(accept(other, NULL, NULL) < 0 && errno == EAGAIN);
    MUST(ioctl(other, FIONBIO, &off) == 0 && !(fcntl(other, F_GETFL) & O_NONBLOCK));
    int one = client(), got = accept(other, NULL, NULL);
    MUST(one >= 0 && got >= 0 && !(fcntl(got, F_GETFL) & O_NONBLOCK));
}

/* only with the library: the queue is the listener's */
static void backlog(void)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    int fd = server(0);
    MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_sacked > 100);
}

static volatile sig_atomic_t signals;
static void on_signal(int number) { (void)number, signals++; }

static void handle(int number, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    MUST(sigaction(number, &action, NULL) == 0);
}

static void tick(void)
{
    struct itimerval timer = {.it_value.tv_usec = 30000};
    MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void interrupted(void)
{
    int fd = server(0);
    handle(SIGALRM, 0);
    tick();
    MUST(accept(fd, NULL, NULL) < 0 && errno == EINTR && signals == 1);
}

static void restarted(void)
{
    int fd = server(0);
    handle(SIGALRM, SA_RESTART);
    tick();
    pid_t child = fork();
    if (child == 0) {
        struct timespec while_ = {.tv_nsec = 100000000};
        nanosleep(&while_, NULL);
        client();
        _exit(0);
    }
    MUST(accept(fd, NULL, NULL) >= 0 && signals == 1);
    waitpid(child, NULL, 0);
}

static void timed(void)
{
    int fd = server(0);
    struct timeval limit = {.tv_usec = 50000};
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    MUST(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
}

static void *accept_for_ever(void *fd)
{
    for (;;) {
        int got = accept(*(int *)fd, NULL, NULL);
        if (got < 0)
            return NULL;
        close(got);
        __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
    }
}

static void cancelled(void)
{
    int fd = server(0);
    pthread_t thread;
    void *result;
    MUST(pthread_create(&thread, NULL, accept_for_ever, &fd) == 0);
    MUST(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
}

static void large_number(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int fd = (int)limit.rlim_cur - 1, first = socket(AF_INET, SOCK_STREAM, 0);
    MUST(dup2(first, fd) == fd && close(first) == 0);
    MUST(try_bind(fd) == 0 && listen(fd, 1) == 0);
    client();
    MUST(accept(fd, NULL, NULL) >= 0);
}

/* the rest only with the library, which keeps the socket at 230 */
enum { KEPT = 230 };

static void overwritten(void)
{
    MUST(dup2(STDOUT_FILENO, KEPT) == KEPT);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(try_bind(fd) < 0 && errno == EADDRINUSE);
    MUST(close(KEPT) == 0 && fcntl(KEPT, F_GETFD) < 0);
}

static void drain(void) { MUST(kill(getpid(), SIGURG) == 0); }

static void no_more(int fd)
{
    int one = client(), other = socket(AF_INET, SOCK_STREAM, 0);
    MUST(one >= 0 && readable(fd, 50) == 0);
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
    MUST(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
    /* a program that reads its configuration anew */
    MUST(try_bind(other) == 0 && listen(other, 5) == 0 && readable(other, 0) == 0);
    MUST(close(KEPT) == 0 && fcntl(KEPT, F_GETFD) >= 0);
}

static void drained(void)
{
    int fd = server(SOCK_CLOEXEC), copy = dup(fd), before = client(), got = accept(fd, NULL, NULL);
    drain();
    MUST(fcntl(fd, F_GETFD) == FD_CLOEXEC && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
    no_more(fd);
    MUST(readable(copy, 0) == 0);
    char byte;
    MUST(write(got, "x", 1) == 1 && read(before, &byte, 1) == 1);
    drain();
    no_more(fd);
}

static void drained_early(void)
{
    drain();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(try_bind(fd) == 0 && listen(fd, 1) == 0);
    no_more(fd);
}

/* what it executes finds something else at the kept number */
static void drained_before_exec(char **argv)
{
    drain();
    execl(argv[0], argv[0], argv[1], "refused", NULL);
    MUST(0);
}

static void refused(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(try_bind(fd) < 0 && errno == EADDRINUSE);
}

/* names of signal(), by what a program was compiled as */
typedef void handler(int);
extern handler *__sysv_signal(int, handler *), *bsd_signal(int, handler *);

static void reset_handler(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL}, before = {.sa_handler = on_signal};
    int fd = server(0);
    MUST(sigaction(SIGURG, NULL, &before) == 0 && before.sa_handler == SIG_DFL);
    MUST(sigaction(SIGURG, &action, &before) == 0 && before.sa_handler == SIG_DFL && signal(SIGURG, SIG_IGN) == SIG_DFL);
    MUST(__sysv_signal(SIGURG, SIG_DFL) == SIG_DFL && bsd_signal(SIGURG, SIG_DFL) == SIG_DFL);
    drain();
    no_more(fd);
}

static void own_handler(void)
{
    int fd = server(0);
    MUST(signal(SIGURG, on_signal) == SIG_DFL);
    drain();
    client();
    MUST(signals == 1 && readable(fd, 1000) == 1 && accept(fd, NULL, NULL) >= 0);
}

static void shut_down(void)
{
    int fd = server(0), copy = dup(fd), set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, accept_for_ever, &fd) == 0);
    client();
    while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    MUST(shutdown(fd, SHUT_RDWR) == 0);
    MUST(accept(fd, NULL, NULL) < 0 && errno == EINVAL && epoll_wait(set, &event, 1, 1000) == 1);
    MUST(pthread_join(thread, NULL) == 0);
    client();
    MUST(readable(copy, 1000) == 1 && accept(copy, NULL, NULL) >= 0);
    drain();
    no_more(copy);
}

static void connected(void)
{
    int fd = server(0);
    struct sockaddr_in a = address(), nobody = {.sin_family = AF_UNSPEC};
    MUST(connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == EISCONN);
    MUST(connect(fd, (struct sockaddr *)&nobody, sizeof nobody) < 0 && errno == EISCONN);
    client();
    MUST(accept(fd, NULL, NULL) >= 0);
}

static void *wait_for_signals(void *set)
{
    for (int number; sigwait(set, &number) == 0;)
        __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void blocked(void)
{
    sigset_t all;
    pthread_t thread;
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0 && sigprocmask(SIG_SETMASK, &all, NULL) == 0);
    MUST(pthread_create(&thread, NULL, wait_for_signals, &all) == 0);
    int fd = server(0);
    MUST(kill(getpid(), SIGUSR1) == 0);
    while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    drain();
    no_more(fd);
    MUST(signals == 1);
}

static void own_wait(void)
{
    sigset_t own;
    int fd = server(0), number;
    sigemptyset(&own);
    sigaddset(&own, SIGURG);
    MUST(pthread_sigmask(SIG_BLOCK, &own, NULL) == 0);
    drain();
    MUST(sigwait(&own, &number) == 0 && number == SIGURG);
    client();
    MUST(accept(fd, NULL, NULL) >= 0);
}

static void drained_in_accept(void)
{
    int fd = server(0);
    handle(SIGUSR1, 0);
    pid_t program = getpid();
    if (fork() == 0) {
        wait_until_asleep(program);
        kill(program, SIGURG);
        wait_until_asleep(program);
        kill(program, SIGUSR1);
        _exit(0);
    }
    MUST(accept(fd, NULL, NULL) < 0 && errno == EINTR && signals == 1);
    no_more(fd);
}

/* `other` and the drain, found by the program at once: the lower number's handler is entered first by the kernel, and runs last */
static void both(int other)
{
    int fd = server(0);
    handle(other, 0);
    pid_t program = getpid();
    if (fork() == 0) {
        wait_until_asleep(program);
        kill(program, SIGSTOP);
        kill(program, SIGURG);
        kill(program, other);
        kill(program, SIGCONT);
        _exit(0);
    }
    MUST(accept(fd, NULL, NULL) < 0 && errno == EINTR && signals == 1);
    no_more(fd);
}

static void both_signals(void) { both(SIGUSR1); }
static void both_signals_after(void) { both(SIGWINCH); }

static int over;

static void *shut_down_for_ever(void *nothing)
{
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        int fd = server(0);
        MUST(shutdown(fd, SHUT_RDWR) == 0 && close(fd) == 0);
    }
    return nothing;
}

/* children of one thread while another puts private sockets in places: each can do so, too */
static void forked(void)
{
    int fd = server(0), status;
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, shut_down_for_ever, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(5);
            _exit(shutdown(fd, SHUT_RDWR) != 0);
        }
        MUST(waitpid(child, &status, 0) == child && status == 0);
    }
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    MUST(pthread_join(thread, NULL) == 0);
}

static void of_threads(void)
{
    int fd = server(0);
    MUST(syscall(SYS_tgkill, getpid(), getpid(), SIGURG) == 0);
    client();
    MUST(readable(fd, 1000) == 1 && accept(fd, NULL, NULL) >= 0);
}

static void in_epoll(void)
{
    int fd = server(SOCK_NONBLOCK), first = epoll_create1(0), second = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0}, got = {0};
    MUST(epoll_ctl(first, EPOLL_CTL_ADD, fd, &event) == 0);
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    MUST(epoll_ctl(second, EPOLL_CTL_ADD, fd, &event) == 0);
    client();
    MUST(epoll_wait(first, &got, 1, 1000) == 1 && got.data.u64 == event.data.u64 && accept(fd, NULL, NULL) >= 0);
    drain();
    client();
    MUST(epoll_wait(first, &got, 1, 50) == 0 && epoll_wait(second, &got, 1, 0) == 0);
    MUST(epoll_ctl(second, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EEXIST);
    event.events = EPOLLIN;
    MUST(epoll_ctl(first, EPOLL_CTL_MOD, fd, &event) == 0 && epoll_ctl(first, EPOLL_CTL_DEL, fd, NULL) == 0);
    MUST(epoll_ctl(second, EPOLL_CTL_DEL, fd, NULL) == 0);
}

static void *select_for_ever(void *fd)
{
    for (;;) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(*(int *)fd, &set);
        if (select(*(int *)fd + 1, &set, NULL, NULL, NULL) != 1)
            continue;
        int got = accept(*(int *)fd, NULL, NULL);
        if (got >= 0)
            __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
    }
}

static int processor_milliseconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int)((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
}

static void in_threads(void)
{
    int fd = server(0), other = server(SOCK_NONBLOCK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&threads[i], NULL, i % 2 ? select_for_ever : accept_for_ever, i < 2 ? &fd : &other) == 0);
    client();
    while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    drain();
    int before = signals, began = processor_milliseconds();
    client(), client();
    struct timespec while_ = {.tv_nsec = 300000000};
    nanosleep(&while_, NULL);
    MUST(signals == before);
    MUST(processor_milliseconds() - began < 100);
}

static void without_numbers(void)
{
    int fd = server(0), last = fd, next;
    struct rlimit limit = {512, 512};
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int waiting = client();
    MUST(accept(fd, NULL, NULL) >= 0 && waiting >= 0);
    while ((next = dup(STDOUT_FILENO)) >= 0)
        last = next;
    drain();
    MUST(close(last) == 0);
    int one = client();
    MUST(one >= 0 && readable(fd, 50) == 0);
}

static ino_t inode_at(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 ? file.st_ino : 0;
}

/* the kept number is beyond what the program may have */
static void low_limit(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 64;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int fd = server(0);
    ino_t adopted = inode_at(fd);
    MUST(inode_at(KEPT) == adopted);
    drain();
    client();
    MUST(readable(fd, 50) == 0 && inode_at(fd) != adopted && inode_at(KEPT) != adopted);
}

/* musl has none, nor glibc before 2.34: it is the library's */
void closefrom(int) __attribute__((weak));

static void closed_from(void)
{
    MUST(closefrom != NULL);
    closefrom(3);
    server(0);
    MUST(close(KEPT) == 0 && fcntl(KEPT, F_GETFD) == 0);
}

/* as the kernel has it, for all who share the socket */
static int never_blocks(int fd) { return syscall(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK; }

static pid_t client_when_asleep(void)
{
    pid_t program = getpid(), child = fork();
    if (child != 0)
        return child;
    wait_until_asleep(program);
    client();
    _exit(0);
}

/* what it executes has the listener from it, and does not bind it */
static void passed_on(char **argv)
{
    char number[16];
    snprintf(number, sizeof number, "%d", server(0));
    execl(argv[0], argv[0], argv[1], "has", number, NULL);
    MUST(0);
}

static void has(int fd)
{
    int on = 1, off = 0;
    MUST(fcntl(fd, F_GETFL) & O_NONBLOCK);
    MUST(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK) && never_blocks(fd));
    pid_t child = client_when_asleep();
    MUST(accept(fd, NULL, NULL) >= 0 && waitpid(child, NULL, 0) == child);
    MUST(ioctl(fd, FIONBIO, &on) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    MUST(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
    MUST(ioctl(fd, FIONBIO, &off) == 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK) && never_blocks(fd));
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    MUST(getsockname(fd, (struct sockaddr *)&own, &length) == 0 && own.sin_family == AF_INET && own.sin_port == htons((uint16_t)port));
    client();
    MUST(accept(fd, (struct sockaddr *)&own, &length) >= 0 && own.sin_family == AF_INET);
}

static void lists(char **argv)
{
    char *const environment[] = {"X=y", NULL};
    if (fork() == 0) {
        execle(argv[0], argv[0], argv[1], "flags", NULL, environment);
        _exit(9);
    }
    int status;
    MUST(wait(&status) > 0 && status == 0);
    fcntl(KEPT, F_SETFD, FD_CLOEXEC);
    execl(argv[0], argv[0], argv[1], "backlog", NULL);
    MUST(0);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } ways[] = {
        {"flags", flags}, {"backlog", backlog}, {"interrupted", interrupted}, {"restarted", restarted}, {"timed", timed}, {"cancelled", cancelled},
        {"large-number", large_number}, {"overwritten", overwritten}, {"drained", drained}, {"drained-early", drained_early}, {"refused", refused}, {"reset-handler", reset_handler},
        {"own-handler", own_handler}, {"blocked", blocked}, {"own-wait", own_wait}, {"drained-in-accept", drained_in_accept},
        {"both-signals", both_signals}, {"both-signals-after", both_signals_after}, {"connected", connected}, {"forked", forked}, {"shut-down", shut_down}, {"of-threads", of_threads}, {"in-epoll", in_epoll}, {"in-threads", in_threads},
        {"without-numbers", without_numbers}, {"low-limit", low_limit}, {"closed-from", closed_from},
    };
    port = argc > 1 ? atoi(argv[1]) : 0;
    alarm(20);
    if (argc > 2 && strcmp(argv[2], "lists") == 0)
        lists(argv);
    if (argc > 2 && strcmp(argv[2], "passed-on") == 0)
        passed_on(argv);
    if (argc > 3 && strcmp(argv[2], "has") == 0) {
        has(atoi(argv[3]));
        puts("ok");
        return 0;
    }
    if (argc > 2 && strcmp(argv[2], "drained-before-exec") == 0)
        drained_before_exec(argv);
    for (size_t i = 0; argc > 2 && i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].name, argv[2]) == 0) {
            ways[i].run();
            puts("ok");
            return 0;
        }
    puts("unknown way");
    return 2;
}
