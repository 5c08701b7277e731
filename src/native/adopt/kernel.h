/*
 * What this library knows of the kernel. No header of a libc: one binary is loaded into programs of glibc and of musl, and its functions
 * stand in for theirs, whose declarations differ. The layouts are those of x86-64 and arm64.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "numbers.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    E_NOENT = 2, E_INTR = 4, E_BIG = 7, E_AGAIN = 11, E_EXIST = 17, E_INVAL = 22, E_MFILE = 24, E_NOSYS = 38, E_OPNOTSUPP = 95, E_ISCONN = 106,
    E_ALREADY = 114, E_INPROGRESS = 115,

    FAMILY_NONE = 0, FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10,
    TYPE_STREAM = 1, TYPE_DGRAM = 2, TYPE_SEQPACKET = 5,
    LEVEL_IP = 0, LEVEL_SOCKET = 1, LEVEL_TCP = 6, LEVEL_IPV6 = 41,
    OPTION_TYPE = 3, OPTION_BROADCAST = 6, OPTION_KEEPALIVE = 9, OPTION_PASSCRED = 16, OPTION_RECEIVE_TIMEOUT = 20,
    OPTION_ATTACH_FILTER = 26, OPTION_TIMESTAMP = 29, OPTION_DOMAIN = 39, OPTION_COOKIE = 57,
    OPTION_TCP_NODELAY = 1, OPTION_IP_PKTINFO = 8, OPTION_IPV6_ONLY = 26, OPTION_IPV6_RECVPKTINFO = 49,
    MESSAGE_DONTWAIT = 0x40, MESSAGE_WAIT_FOR_ONE = 0x10000,

    DESCRIPTOR_GET = 1, DESCRIPTOR_SET = 2, STATUS_GET = 3, STATUS_SET = 4, CLOSE_ON_EXEC = 1,
    FLAG_NONBLOCK = 04000, FLAG_CLOEXEC = 02000000,
    REQUEST_NONBLOCK = 0x5421, /* FIONBIO */
    AT_HERE = -100, AT_REMOVE_DIRECTORY = 0x200, AT_NO_FOLLOW = 0x100, AT_EMPTY = 0x1000,
    READABLE = 1, /* POLLIN */
    EPOLL_ADD = 1, EPOLL_DELETE = 2,

    SIGNALS = 64, SIGNAL_CHILD = 17, SIGNAL_URGENT = 23, SIGNAL_WINDOW = 28,
    MASK_BLOCK = 0, MASK_UNBLOCK = 1, MASK_SET = 2,
    HANDLER_INFO = 4, HANDLER_ONSTACK = 0x08000000, HANDLER_RESTART = 0x10000000,
};

#if defined(__aarch64__)
#define FLAG_DIRECTORY 040000
#else
#define FLAG_DIRECTORY 0200000
#endif

/* struct sockaddr_in, _in6 and _un in one */
struct address {
    uint16_t family;
    union {
        struct {
            uint16_t port; /* network order, in both families */
            union {
                uint8_t v4[4];
                struct {
                    uint8_t flow[4], v6[16], scope[4];
                };
            };
        };
        char path[108];
    };
};

_Static_assert(offsetof(struct address, port) == 2 && offsetof(struct address, v6) == 8 && sizeof(struct address) == 110, "as the kernel has it");

struct poll_entry { int fd; short wanted, seen; };
struct limit { uint64_t soft, hard; };
struct time_value { long seconds, microseconds; };
/* as sigaction(2) of both libcs has it, and as the kernel has it */
struct action { void *handler; unsigned long mask[16]; int flags; void (*restorer)(void); };
struct kernel_action { void *handler; unsigned long flags; void (*restorer)(void); unsigned long mask; };
/* sigset_t of both libcs; the kernel has the first word */
struct signals { unsigned long words[16]; };
struct signal_info { int number, error, code; };
struct message { void *name; unsigned name_length; void *parts; size_t count; void *control; size_t control_length; int flags; };
struct messages { struct message message; unsigned length; };
#if defined(__x86_64__)
struct epoll_entry { uint32_t events; uint64_t data; } __attribute__((packed));
#else
struct epoll_entry { uint32_t events; uint64_t data; };
#endif

/* A system call as it is: -errno when it fails. */
static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#endif
}

#define CALL_PICK(a1, a2, a3, a4, a5, a6, a7, name, ...) name
#define CALL1(n) call6(n, 0, 0, 0, 0, 0, 0)
#define CALL2(n, a) call6(n, (long)(a), 0, 0, 0, 0, 0)
#define CALL3(n, a, b) call6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL4(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL5(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL6(n, a, b, c, d, e) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define CALL7(n, a, b, c, d, e, f) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL(...) CALL_PICK(__VA_ARGS__, CALL7, CALL6, CALL5, CALL4, CALL3, CALL2, CALL1, 0)(__VA_ARGS__)
