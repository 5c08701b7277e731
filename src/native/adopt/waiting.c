#include "waiting.h"

#include "drain.h"
#include "kept.h"
#include "next.h"

/* A call that waits goes on after a signal if its handler was installed with SA_RESTART. Which handler it was cannot be told: all must be so. */
static bool goes_on_after_signals(void)
{
    for (int number = 1; number <= SIGNALS; number++) {
        struct kernel_action action = {0};
        if (number == kept.drain_signal || number == 32 || number == 33)
            continue; /* ours, and those of the thread library */
        if (CALL(SYS_rt_sigaction, number, 0, &action, sizeof action.mask) < 0)
            continue;
        if ((uintptr_t)action.handler > 1 && !(action.flags & HANDLER_RESTART))
            return false;
    }
    return true;
}

/* after which the call is tried again: another thread may have put another socket at this number (shutdown, drain) */
enum { SLICE_MS = 1000 };

/* False: the call ends with the error that is set. */
static bool wait_for(int fd)
{
    struct time_value timeout = {0, 0};
    unsigned length = sizeof timeout;
    CALL(SYS_getsockopt, fd, LEVEL_SOCKET, OPTION_RECEIVE_TIMEOUT, &timeout, &length);
    long most = timeout.seconds > 1000000 ? 1000000000 : timeout.seconds * 1000 + (timeout.microseconds + 999) / 1000;
    for (;;) {
        struct poll_entry entry = {.fd = fd, .wanted = READABLE};
        drain_wait_begins();
        int ready = next.poll(&entry, 1, most == 0 ? SLICE_MS : (int)most);
        if (ready > 0 || (ready == 0 && most == 0))
            return true;
        if (ready == 0) {
            *error_place() = E_AGAIN;
            return false;
        }
        if (*error_place() != E_INTR || (!drain_cut() && !goes_on_after_signals()))
            return false;
    }
}

bool waited(int fd)
{
    if (drain_cut())
        return true;
    if (!kept.has_bound || next.poll == NULL || *error_place() != E_AGAIN)
        return false;
    struct offer *offer = kept_socket(fd);
    return offer != NULL && offer->bound && offer->blocking && wait_for(fd);
}
