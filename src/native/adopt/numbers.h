/* Numbers of system calls. Not from a header: those of a libc are not there for a library without one. */
#pragma once

#if defined(__x86_64__)
enum {
    SYS_accept = 43, SYS_accept4 = 288, SYS_bind = 49, SYS_close = 3, SYS_close_range = 436, SYS_connect = 42, SYS_dup3 = 292, SYS_epoll_ctl = 233,
    SYS_execve = 59, SYS_execveat = 322, SYS_fcntl = 72, SYS_getdents64 = 217, SYS_getpeername = 52, SYS_getsockname = 51,
    SYS_getsockopt = 55, SYS_ioctl = 16, SYS_listen = 50, SYS_openat = 257, SYS_prlimit64 = 302, SYS_read = 0, SYS_readv = 19, SYS_recvfrom = 45,
    SYS_recvmmsg = 299, SYS_recvmsg = 47, SYS_rt_sigaction = 13, SYS_rt_sigpending = 127, SYS_rt_sigprocmask = 14, SYS_rt_sigtimedwait = 128,
    SYS_sendmmsg = 307, SYS_sendmsg = 46, SYS_sendto = 44, SYS_sched_yield = 24, SYS_setsockopt = 54, SYS_shutdown = 48, SYS_socket = 41,
    SYS_statx = 332, SYS_unlinkat = 263, SYS_write = 1, SYS_writev = 20,
};
#elif defined(__aarch64__)
enum {
    SYS_accept = 202, SYS_accept4 = 242, SYS_bind = 200, SYS_close = 57, SYS_close_range = 436, SYS_connect = 203, SYS_dup3 = 24, SYS_epoll_ctl = 21,
    SYS_execve = 221, SYS_execveat = 281, SYS_fcntl = 25, SYS_getdents64 = 61, SYS_getpeername = 205, SYS_getsockname = 204,
    SYS_getsockopt = 209, SYS_ioctl = 29, SYS_listen = 201, SYS_openat = 56, SYS_prlimit64 = 261, SYS_read = 63, SYS_readv = 65, SYS_recvfrom = 207,
    SYS_recvmmsg = 243, SYS_recvmsg = 212, SYS_rt_sigaction = 134, SYS_rt_sigpending = 136, SYS_rt_sigprocmask = 135, SYS_rt_sigtimedwait = 137,
    SYS_sendmmsg = 269, SYS_sendmsg = 211, SYS_sendto = 206, SYS_sched_yield = 124, SYS_setsockopt = 208, SYS_shutdown = 210, SYS_socket = 198,
    SYS_statx = 291, SYS_unlinkat = 35, SYS_write = 64, SYS_writev = 66,
};
#else
#error "adopt: x86-64 and arm64 only"
#endif
