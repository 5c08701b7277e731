/*
 * Calls on sockets with a time limit (SO_RCVTIMEO, SO_SNDTIMEO), which the kernel ends at any handled signal, SA_RESTART or not: timed PORT WAY.
 * Each waits when the drain's signal comes, and must go on. Says "ok" on stdout, or what is wrong. Compiled for glibc and for musl, and run
 * without the library, too: SIGURG is ignored then.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "asleep.h"

static int port;

static void bind_adopted(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
}

static void limit_time(int fd)
{
    struct timeval most = {.tv_sec = 15};
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) == 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most) == 0);
}

/* In a child: when this program waits in its call, twice the signal, and then what lets the call end. */
static void drained_until(void (*release)(int fd), int fd)
{
    pid_t program = getpid();
    if (fork() != 0)
        return;
    for (int i = 0; i < 2; i++) {
        wait_until_asleep(program);
        MUST(kill(program, SIGURG) == 0);
    }
    wait_until_asleep(program);
    release(fd);
    _exit(0);
}

static void put_byte(int fd) { MUST(write(fd, "x", 1) == 1); }

static void take_all(int fd)
{
    static char bytes[65536];
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

static void receives(ssize_t (*receive)(int fd, char *bytes))
{
    int pair[2];
    char byte = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    limit_time(pair[0]);
    drained_until(put_byte, pair[1]);
    MUST(receive(pair[0], &byte) == 1 && byte == 'x');
}

static void sends(ssize_t (*give)(int fd))
{
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    limit_time(pair[0]);
    while (send(pair[0], "x", 1, MSG_DONTWAIT) == 1)
        ;
    MUST(errno == EAGAIN);
    drained_until(take_all, pair[1]);
    MUST(give(pair[0]) == 1);
}

static char *given = "x";

static ssize_t by_recv(int fd, char *byte) { return recv(fd, byte, 1, 0); }
static ssize_t by_recvfrom(int fd, char *byte) { return recvfrom(fd, byte, 1, 0, NULL, NULL); }
static ssize_t by_read(int fd, char *byte) { return read(fd, byte, 1); }
static ssize_t by_readv(int fd, char *byte) { return readv(fd, &(struct iovec){byte, 1}, 1); }
static ssize_t by_recvmsg(int fd, char *byte)
{
    return recvmsg(fd, &(struct msghdr){.msg_iov = &(struct iovec){byte, 1}, .msg_iovlen = 1}, 0);
}
static ssize_t by_recvmmsg(int fd, char *byte)
{
    struct mmsghdr list = {.msg_hdr = {.msg_iov = &(struct iovec){byte, 1}, .msg_iovlen = 1}};
    return recvmmsg(fd, &list, 1, 0, NULL);
}
static ssize_t by_send(int fd) { return send(fd, given, 1, 0); }
static ssize_t by_sendto(int fd) { return sendto(fd, given, 1, 0, NULL, 0); }
static ssize_t by_write(int fd) { return write(fd, given, 1); }
static ssize_t by_writev(int fd) { return writev(fd, &(struct iovec){given, 1}, 1); }
static ssize_t by_sendmsg(int fd) { return sendmsg(fd, &(struct msghdr){.msg_iov = &(struct iovec){given, 1}, .msg_iovlen = 1}, 0); }
static ssize_t by_sendmmsg(int fd)
{
    struct mmsghdr list = {.msg_hdr = {.msg_iov = &(struct iovec){given, 1}, .msg_iovlen = 1}};
    return sendmmsg(fd, &list, 1, 0);
}

/* a listener that is nobody's but the program's */
static struct sockaddr_un own_name;
static socklen_t own_length;

static int own_listener(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    own_length = sizeof own_name;
    MUST(bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) == 0 && listen(fd, 0) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&own_name, &own_length) == 0);
    limit_time(fd);
    return fd;
}

static int own_client(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    limit_time(fd);
    return fd;
}

static int connects(int fd) { return connect(fd, (struct sockaddr *)&own_name, own_length); }
static void come(int nothing) { (void)nothing, MUST(connects(own_client()) == 0); }
static void take_one(int fd) { MUST(accept(fd, NULL, NULL) >= 0); }

static void by_accept(void)
{
    int fd = own_listener();
    drained_until(come, -1);
    MUST(accept(fd, NULL, NULL) >= 0);
}

static void by_connect(void)
{
    int fd = own_listener();
    /* its queue is full */
    come(-1);
    drained_until(take_one, fd);
    MUST(connects(own_client()) == 0);
}

static volatile sig_atomic_t signals;
static void on_signal(int number) { (void)number, signals++; }

static void interrupt(int program) { MUST(kill(program, SIGUSR1) == 0); }

/* a signal of the program's own, after the drain's */
static void by_own_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    int pair[2];
    char byte;
    MUST(sigaction(SIGUSR1, &action, NULL) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    limit_time(pair[0]);
    drained_until(interrupt, getpid());
    MUST(recv(pair[0], &byte, 1, 0) < 0 && errno == EINTR && signals == 1);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; ssize_t (*receive)(int, char *), (*give)(int); void (*run)(void); } ways[] = {
        {"recv", by_recv, 0, 0}, {"recvfrom", by_recvfrom, 0, 0}, {"read", by_read, 0, 0}, {"readv", by_readv, 0, 0}, {"recvmsg", by_recvmsg, 0, 0},
        {"recvmmsg", by_recvmmsg, 0, 0}, {"send", 0, by_send, 0}, {"sendto", 0, by_sendto, 0}, {"write", 0, by_write, 0}, {"writev", 0, by_writev, 0},
        {"sendmsg", 0, by_sendmsg, 0}, {"sendmmsg", 0, by_sendmmsg, 0}, {"accept", 0, 0, by_accept}, {"connect", 0, 0, by_connect},
        {"own-signal", 0, 0, by_own_signal},
    };
    port = argc > 1 ? atoi(argv[1]) : 0;
    alarm(20);
    for (size_t i = 0; argc > 2 && i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].name, argv[2]) == 0) {
            bind_adopted();
            if (ways[i].receive)
                receives(ways[i].receive);
            else if (ways[i].give)
                sends(ways[i].give);
            else
                ways[i].run();
            puts("ok");
            return 0;
        }
    puts("unknown way");
    return 2;
}
