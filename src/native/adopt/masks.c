/*
 * Programs that block all signals, and have a thread wait for those they know, do not mean the drain's, of which they know nothing: it is left
 * out of what they block and wait for. A set that names this signal alone is about it, and left as it is.
 */
#include "drain.h"
#include "kept.h"
#include "next.h"

/* What the program means. SIGCHLD and SIGWINCH, if one of them drains, are waited for by those who want them. */
static const struct signals *meant(const struct signals *given, struct signals *other)
{
    int number = kept.drain_signal;
    if (given == NULL || kept.count == 0 || number == 0 || number == SIGNAL_CHILD || number == SIGNAL_WINDOW)
        return given;
    unsigned long ours = 1ul << (number - 1);
    if (!(given->words[0] & ours) || given->words[0] == ours || !drain_armed())
        return given;
    *other = *given;
    other->words[0] &= ~ours;
    return other;
}

static int set_mask(int (*call)(int, const struct signals *, struct signals *), int how, const struct signals *set, struct signals *before, int *error)
{
    struct signals other;
    kept_begin();
    if (how != MASK_UNBLOCK)
        set = meant(set, &other);
    if (call != NULL)
        return call(how, set, before);
    long result = CALL(SYS_rt_sigprocmask, how, set, before, sizeof set->words[0]);
    *error = (int)-result;
    return (int)answer(result);
}

EXPORT int sigprocmask(int how, const struct signals *set, struct signals *before)
{
    int error;
    return set_mask(next.sigprocmask, how, set, before, &error);
}

/* answers the error itself */
EXPORT int pthread_sigmask(int how, const struct signals *set, struct signals *before)
{
    int error = 0, result = set_mask(next.pthread_sigmask, how, set, before, &error);
    return result < 0 ? error : result;
}

EXPORT int sigwaitinfo(const struct signals *set, void *info)
{
    struct signals other;
    kept_begin();
    set = meant(set, &other);
    return next.sigwaitinfo == NULL ? (int)answer(CALL(SYS_rt_sigtimedwait, set, info, 0, sizeof set->words[0])) : next.sigwaitinfo(set, info);
}

EXPORT int sigtimedwait(const struct signals *set, void *info, const void *timeout)
{
    struct signals other;
    kept_begin();
    set = meant(set, &other);
    return next.sigtimedwait == NULL ? (int)answer(CALL(SYS_rt_sigtimedwait, set, info, timeout, sizeof set->words[0]))
                                     : next.sigtimedwait(set, info, timeout);
}

EXPORT int sigwait(const struct signals *set, int *number)
{
    struct signals other;
    kept_begin();
    set = meant(set, &other);
    if (next.sigwait != NULL)
        return next.sigwait(set, number);
    long result;
    do
        result = CALL(SYS_rt_sigtimedwait, set, 0, 0, sizeof set->words[0]);
    while (result == -E_INTR);
    if (result < 0)
        return (int)-result;
    *number = (int)result;
    return 0;
}
