#define _GNU_SOURCE
#include "terminal.h"

#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "early.h"

enum terminal_way terminal_find(void)
{
    pid_t session;
    /* fails unless stdin is our controlling terminal */
    if (ioctl(STDIN_FILENO, TIOCGSID, &session) < 0)
        return TERMINAL_NONE;
    if (session == getpid())
        return TERMINAL_SESSION;
    return tcgetpgrp(STDIN_FILENO) == getpgrp() ? TERMINAL_GROUP : TERMINAL_BACKGROUND;
}

static signal_set pending(void)
{
    signal_set set = 0;
    syscall(SYS_rt_sigpending, &set, sizeof set);
    return set;
}

void terminal_leave(void)
{
    /* A session leader that leaves hangs up its own foreground group: HUP and CONT arrive while the ioctl runs, from ourselves. */
    signal_set before = pending();
    ioctl(STDIN_FILENO, TIOCNOTTY);
    signal_set own = (SIGNAL_BIT(SIGHUP) | SIGNAL_BIT(SIGCONT)) & ~before;
    const struct timespec now = {0, 0};
    siginfo_t info;
    while (own != 0 && syscall(SYS_rt_sigtimedwait, &own, &info, &now, sizeof own) > 0) {
        own &= ~SIGNAL_BIT(info.si_signo);
        if (info.si_pid != getpid())
            kill(getpid(), info.si_signo); /* somebody else's, with which the kernel's was merged: put back */
    }
}

void terminal_take(enum terminal_way way)
{
    if (way == TERMINAL_SESSION)
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    if (way == TERMINAL_GROUP)
        tcsetpgrp(STDIN_FILENO, getpgrp());
}

void terminal_give(pid_t group, pid_t instead_of)
{
    pid_t front = tcgetpgrp(STDIN_FILENO);
    if (front == getpgrp() || front == instead_of)
        tcsetpgrp(STDIN_FILENO, group);
}
