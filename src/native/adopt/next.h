/*
 * The functions that ours stand before: libc's, or those of another preloaded library. Cancellation points, and PATH, are libc's matter. They
 * are found when the program is loaded: a child of vfork() must not look for them.
 */
#pragma once

#include "kernel.h"

#define NEXT_FUNCTIONS(X) \
    X(bind, int, (int, const void *, unsigned)) \
    X(listen, int, (int, int)) \
    X(shutdown, int, (int, int)) \
    X(accept, int, (int, void *, unsigned *)) \
    X(accept4, int, (int, void *, unsigned *, int)) \
    X(connect, int, (int, const void *, unsigned)) \
    X(getpeername, int, (int, void *, unsigned *)) \
    X(getsockname, int, (int, void *, unsigned *)) \
    X(recv, long, (int, void *, size_t, int)) \
    X(read, long, (int, void *, size_t)) \
    X(readv, long, (int, const void *, int)) \
    X(recvfrom, long, (int, void *, size_t, int, void *, unsigned *)) \
    X(recvmsg, long, (int, struct message *, int)) \
    X(recvmmsg, int, (int, struct messages *, unsigned, int, void *)) \
    X(send, long, (int, const void *, size_t, int)) \
    X(write, long, (int, const void *, size_t)) \
    X(writev, long, (int, const void *, int)) \
    X(sendto, long, (int, const void *, size_t, int, const void *, unsigned)) \
    X(sendmsg, long, (int, const struct message *, int)) \
    X(sendmmsg, int, (int, struct messages *, unsigned, int)) \
    X(poll, int, (struct poll_entry *, unsigned long, int)) \
    X(fcntl, int, (int, int, ...)) \
    X(fcntl64, int, (int, int, ...)) \
    X(ioctl, int, (int, unsigned long, ...)) \
    X(close, int, (int)) \
    X(unlink, int, (const char *)) \
    X(unlinkat, int, (int, const char *, int)) \
    X(remove, int, (const char *)) \
    X(sigaction, int, (int, const struct action *, struct action *)) \
    X(signal, void *, (int, void *)) \
    X(__sysv_signal, void *, (int, void *)) \
    X(bsd_signal, void *, (int, void *)) \
    X(sigprocmask, int, (int, const struct signals *, struct signals *)) \
    X(pthread_sigmask, int, (int, const struct signals *, struct signals *)) \
    X(sigwait, int, (const struct signals *, int *)) \
    X(sigwaitinfo, int, (const struct signals *, void *)) \
    X(sigtimedwait, int, (const struct signals *, void *, const void *)) \
    X(fork, int, (void)) \
    X(execve, int, (const char *, char *const *, char *const *)) \
    X(execvpe, int, (const char *, char *const *, char *const *)) \
    X(fexecve, int, (int, char *const *, char *const *)) \
    X(posix_spawn, int, (int *, const char *, const void *, const void *, char *const *, char *const *)) \
    X(posix_spawnp, int, (int *, const char *, const void *, const void *, char *const *, char *const *))

struct next {
#define NEXT_MEMBER(name, result, arguments) result(*name) arguments;
    NEXT_FUNCTIONS(NEXT_MEMBER)
#undef NEXT_MEMBER
};

extern struct next next;

void next_begin(void);

/* The error number as a libc's function leaves it. */
int *error_place(void);
/* What a system call answered, as a libc's function does: -1, and the error in its place. */
long answer(long result);
