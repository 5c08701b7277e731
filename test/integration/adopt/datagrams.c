/*
 * What a program may do to its UDP socket and must find as usual, one way per run: datagrams PORT WAY. Says "ok" on stdout, or what is wrong.
 * Compiled for glibc and for musl; all but the refusals are run without the library, too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "must.h"

static int port;

union any { struct sockaddr name; struct sockaddr_in v4; struct sockaddr_in6 v6; };

static union any address(int family, const char *host)
{
    union any a = {.v4 = {.sin_family = (sa_family_t)family, .sin_port = htons((uint16_t)port)}};
    MUST(inet_pton(family, host, family == AF_INET ? (void *)&a.v4.sin_addr : (void *)&a.v6.sin6_addr) == 1);
    return a;
}

static int server(int family, const char *host)
{
    union any a = address(family, host);
    int fd = socket(family, SOCK_DGRAM, 0), off = 0;
    if (family == AF_INET6)
        MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
    MUST(bind(fd, &a.name, family == AF_INET ? sizeof a.v4 : sizeof a.v6) == 0);
    return fd;
}

static int client(void)
{
    union any a = address(AF_INET, "127.0.0.1");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    MUST(connect(fd, &a.name, sizeof a.v4) == 0);
    return fd;
}

static char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    return strrchr(text, ')')[2];
}

/* sends when the program waits: what it does must block */
static pid_t send_later(void)
{
    pid_t program = getpid(), child = fork();
    if (child != 0)
        return child;
    while (state_of(program) != 'S')
        usleep(1000);
    MUST(send(client(), "hi", 2, 0) == 2);
    _exit(0);
}

static void waits(ssize_t (*receive)(int fd, char *bytes))
{
    int fd = server(AF_INET, "127.0.0.1");
    char bytes[8] = "";
    pid_t child = send_later();
    MUST(receive(fd, bytes) == 2 && memcmp(bytes, "hi", 2) == 0);
    MUST(waitpid(child, NULL, 0) == child);
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && receive(fd, bytes) < 0 && errno == EAGAIN);
}

static ssize_t by_read(int fd, char *bytes) { return read(fd, bytes, 8); }

static ssize_t by_readv(int fd, char *bytes)
{
    struct iovec part = {bytes, 8};
    return readv(fd, &part, 1);
}

static ssize_t by_recvmmsg(int fd, char *bytes)
{
    struct iovec part = {bytes, 8};
    struct mmsghdr list[1] = {{.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}}};
    return recvmmsg(fd, list, 1, 0, NULL) < 0 ? -1 : (ssize_t)list[0].msg_len;
}

static void read_waits(void) { waits(by_read); }
static void readv_waits(void) { waits(by_readv); }
static void recvmmsg_waits(void) { waits(by_recvmmsg); }

static void must_be_peer(const union any *from, socklen_t length, int family)
{
    static const unsigned char mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    MUST(from->name.sa_family == family && length == (family == AF_INET ? sizeof from->v4 : sizeof from->v6));
    MUST(memcmp(family == AF_INET ? (const void *)&from->v4.sin_addr : (const void *)&from->v6.sin6_addr, family == AF_INET ? mapped + 12 : mapped,
                family == AF_INET ? 4 : 16) == 0);
}

static void must_answer(int fd, char wanted)
{
    char byte = 0;
    MUST(recv(fd, &byte, 1, 0) == 1 && byte == wanted);
}

/* Answers, in each way there is, go to the address that came in each. */
static void answers(int family, const char *host)
{
    int fd = server(family, host), asking = client();
    union any from;
    socklen_t length = sizeof from;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    MUST(send(asking, "a", 1, 0) == 1 && recvfrom(fd, &byte, 1, 0, &from.name, &length) == 1);
    must_be_peer(&from, length, family);
    MUST(sendto(fd, &byte, 1, 0, &from.name, length) == 1);
    must_answer(asking, 'a');
    MUST(send(asking, "bc", 2, 0) == 2 && recvmsg(fd, &message, 0) == 1 && (message.msg_flags & MSG_TRUNC));
    must_be_peer(&from, message.msg_namelen, family);
    MUST(sendmsg(fd, &message, 0) == 1);
    must_answer(asking, 'b');
    struct mmsghdr list[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    list[0].msg_hdr.msg_namelen = list[1].msg_hdr.msg_namelen = sizeof from;
    MUST(send(asking, "d", 1, 0) == 1 && recvmmsg(fd, list, 2, MSG_WAITFORONE, NULL) == 1 && list[0].msg_len == 1);
    must_be_peer(&from, list[0].msg_hdr.msg_namelen, family);
    MUST(sendmmsg(fd, list, 1, 0) == 1 && list[0].msg_len == 1);
    must_answer(asking, 'd');
    /* no room for an address: none is written */
    length = 0;
    MUST(send(asking, "e", 1, 0) == 1 && recvfrom(fd, &byte, 1, 0, &from.name, &length) == 1 && length > 0);
}

static void mapped(void) { answers(AF_INET6, "::ffff:127.0.0.1"); }
static void every6(void) { answers(AF_INET6, "::"); }
static void every4(void) { answers(AF_INET, "0.0.0.0"); }

/* the rest only with the library */

static void connected(void)
{
    int fd = server(AF_INET, "127.0.0.1"), first = client(), second = client();
    union any from, nobody = {.name.sa_family = AF_UNSPEC};
    socklen_t length = sizeof from;
    char byte;
    MUST(send(first, "a", 1, 0) == 1 && recvfrom(fd, &byte, 1, 0, &from.name, &length) == 1);
    MUST(connect(fd, &from.name, length) < 0 && errno == EOPNOTSUPP);
    MUST(connect(fd, &nobody.name, sizeof nobody.name) == 0);
    MUST(send(second, "b", 1, 0) == 1 && recvfrom(fd, &byte, 1, 0, &from.name, &length) == 1 && byte == 'b');
    MUST(getpeername(fd, &from.name, &length) < 0 && errno == ENOTCONN);
}

/* answers by sendmmsg() to what it received before, too, leave from the listener's address: the client has no ear for others */
static void drained(void)
{
    int fd = server(AF_INET, "127.0.0.1"), asking = client();
    union any from;
    socklen_t length = sizeof from;
    char byte;
    struct iovec part = {&byte, 1};
    MUST(send(asking, "a", 1, 0) == 1 && recvfrom(fd, &byte, 1, 0, &from.name, &length) == 1);
    MUST(kill(getpid(), SIGURG) == 0);
    struct mmsghdr list[1] = {{.msg_hdr = {.msg_name = &from, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1}}};
    MUST(sendmmsg(fd, list, 1, 0) == 1 && list[0].msg_len == 1);
    must_answer(asking, 'a');
    MUST(send(asking, "b", 1, 0) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } ways[] = {
        {"read", read_waits}, {"readv", readv_waits}, {"recvmmsg", recvmmsg_waits}, {"mapped", mapped}, {"every6", every6}, {"every4", every4},
        {"connected", connected}, {"drained", drained},
    };
    port = argc > 1 ? atoi(argv[1]) : 0;
    alarm(20);
    for (size_t i = 0; argc > 2 && i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].name, argv[2]) == 0) {
            ways[i].run();
            puts("ok");
            return 0;
        }
    puts("unknown way");
    return 2;
}
