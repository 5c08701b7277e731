#include "drain.h"

#include "eventpolls.h"
#include "kept.h"
#include "next.h"
#include "open_files.h"

/* where it is kept, where the program has it, and copies */
enum { MOST_PLACES = 4 * MOST_OFFERS, ALL = -1 };

/* One at a time, and in memory of its own: the stack that a signal finds may be small. */
static struct {
    int lock, wanted; /* wanted: by a signal */
    int only;         /* the one descriptor it is about, or all */
    size_t count;
    struct { int fd; struct offer *offer; } places[MOST_PLACES];
} drain;

/* drops whatever arrives: nobody can connect, even who finds the port */
static struct { uint16_t code; uint8_t yes, no; uint32_t value; } drop_all[] = {{6, 0, 0, 0}};

/* An address that only this machine reaches, at a port, or under a name, that the kernel chooses. */
static long bind_private(int fd, unsigned family)
{
    struct address address = {.family = (uint16_t)family};
    if (family == FAMILY_UNIX)
        return CALL(SYS_bind, fd, &address, sizeof address.family);
    if (family == FAMILY_INET) {
        address.v4[0] = 127;
        address.v4[3] = 1;
        return CALL(SYS_bind, fd, &address, 16);
    }
    address.v6[15] = 1;
    long result = CALL(SYS_bind, fd, &address, 28);
    if (result >= 0)
        return result;
    /* IPv6, but not on this interface: 127.0.0.1 by way of it */
    address.v6[10] = address.v6[11] = 0xff;
    address.v6[12] = 127;
    return CALL(SYS_bind, fd, &address, 28);
}

/* A socket of the same kind, so that the program's calls on it answer as before. Returns -errno. */
static long make_private(const struct offer *offer)
{
    const struct { uint16_t length; void *code; } filter = {1, drop_all};
    long fd = CALL(SYS_socket, offer->family, offer->type | FLAG_CLOEXEC | FLAG_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    /* not everywhere without privileges (net.core.bpf_jit_limit); a stranger who tries all ports of this machine is served then */
    CALL(SYS_setsockopt, fd, LEVEL_SOCKET, OPTION_ATTACH_FILTER, &filter, sizeof filter);
    if (offer->type == TYPE_DGRAM)
        return fd; /* no address: nobody can send to it */
    long result = bind_private((int)fd, offer->family);
    if (result >= 0)
        result = CALL(SYS_listen, fd, 1);
    if (result >= 0)
        return fd;
    CALL(SYS_close, fd);
    return result;
}

static void find_place(int fd)
{
    struct offer *offer = drain.only == ALL || drain.only == fd ? kept_socket(fd) : NULL;
    if (offer == NULL || drain.count == MOST_PLACES || socket_cookie(fd) == offer->drained)
        return;
    if (offer->type == TYPE_DGRAM && fd == offer->fd)
        return; /* what has been asked already is answered by it: sending.c */
    drain.places[drain.count].fd = fd;
    drain.places[drain.count++].offer = offer;
}

static void find_registrations(int fd)
{
    for (size_t i = 0; i < drain.count; i++)
        if (!eventpolls_take_out(fd, drain.places[i].fd))
            return;
}

/* Puts a private socket in each place of one offer. */
static void replace(struct offer *offer)
{
    long made = make_private(offer);
    if (made == -E_MFILE && offer->type != TYPE_DGRAM && drain.only == ALL && kept_at(offer->fd) != NULL) {
        /* the one descriptor that the program does not miss */
        CALL(SYS_close, offer->fd);
        made = make_private(offer);
    }
    if (made < 0)
        return;
    if (drain.only == ALL)
        offer->drained = socket_cookie((int)made);
    for (size_t i = 0; i < drain.count; i++) {
        int fd = drain.places[i].fd;
        if (drain.places[i].offer != offer)
            continue;
        long flags = CALL(SYS_fcntl, fd, DESCRIPTOR_GET);
        long result = CALL(SYS_dup3, made, fd, flags > 0 && (flags & CLOSE_ON_EXEC) ? FLAG_CLOEXEC : 0);
        /* beyond what the program may have (RLIMIT_NOFILE), where nothing new can be put; left, it would look as if it could still accept */
        if (result < 0 && fd == offer->fd && fd != made)
            CALL(SYS_close, fd);
    }
    CALL(SYS_close, made);
}

static void run(int only)
{
    drain.only = only;
    drain.count = 0;
    open_files_each(find_place);
    if (drain.count == 0)
        return;
    open_files_each(find_registrations);
    for (size_t i = 0; i < kept.count; i++)
        for (size_t k = 0; k < drain.count; k++)
            if (drain.places[k].offer == &kept.offers[i]) {
                replace(&kept.offers[i]);
                break;
            }
    eventpolls_put_back();
}

/* False when it is running already, in another thread or in what this signal interrupted: that one sees what is wanted. */
static bool try_run(int only)
{
    if (__atomic_exchange_n(&drain.lock, 1, __ATOMIC_ACQUIRE) != 0)
        return false;
    if (only != ALL)
        run(only);
    while (__atomic_exchange_n(&drain.wanted, 0, __ATOMIC_ACQ_REL) != 0)
        run(ALL);
    __atomic_store_n(&drain.lock, 0, __ATOMIC_RELEASE);
    return true;
}

static void run_wanted(void)
{
    /* again, if one was wanted between the last look and the release of the lock */
    while (__atomic_load_n(&drain.wanted, __ATOMIC_ACQUIRE) != 0 && try_run(ALL))
        ;
}

void drain_one(int fd)
{
    while (!try_run(fd))
        CALL(SYS_sched_yield);
    run_wanted();
}

/* glibc and musl have room for the variables of a library that is there when the program is loaded */
static __thread int alone __attribute__((tls_model("initial-exec")));

void drain_wait_begins(void) { __atomic_store_n(&alone, 0, __ATOMIC_RELAXED); }
bool drain_cut(void) { return *error_place() == E_INTR && __atomic_load_n(&alone, __ATOMIC_RELAXED) != 0; }

/* in struct ucontext: what the interrupted code has as the answer of its system call, and the signals that were blocked */
#if defined(__x86_64__)
enum { RESULT_AT = 144, MASK_AT = 296 };
#else
enum { RESULT_AT = 184, MASK_AT = 40 };
#endif

/*
 * Whether this handler runs straight upon a system call that ends with EINTR, and no other follows it. A handler that the same return from the
 * kernel began before this one has no such answer.
 */
static bool interrupts_alone(const char *context)
{
    long result = *(const long *)(const void *)(context + RESULT_AT);
    unsigned long blocked = *(const unsigned long *)(const void *)(context + MASK_AT), pending = 0;
    CALL(SYS_rt_sigpending, &pending, sizeof pending);
    return result == -E_INTR && (pending & ~blocked & ~(1ul << (kept.drain_signal - 1))) == 0;
}

static void handle(const struct signal_info *info)
{
    enum { by_kill = 0, by_queue = -1 };
    /* urgent data on a socket, or a thread library that uses this signal among its threads, is no word of ours */
    if (info->code != by_kill && info->code != by_queue)
        return;
    __atomic_store_n(&drain.wanted, 1, __ATOMIC_RELEASE);
    run_wanted();
}

static void on_signal(int number, const struct signal_info *info, void *context)
{
    (void)number;
    handle(info);
    __atomic_store_n(&alone, interrupts_alone(context), __ATOMIC_RELAXED);
}

bool drain_armed(void)
{
    struct kernel_action now = {0};
    return CALL(SYS_rt_sigaction, kept.drain_signal, 0, &now, sizeof now.mask) >= 0 && now.handler == (void *)on_signal;
}

void drain_arm(void)
{
    struct kernel_action given = {0};
    if (kept.drain_signal == 0 || next.sigaction == NULL || CALL(SYS_rt_sigaction, kept.drain_signal, 0, &given, sizeof given.mask) < 0)
        return;
    if ((uintptr_t)given.handler > 1)
        return;
    struct action action = {.handler = (void *)on_signal, .flags = HANDLER_INFO | HANDLER_ONSTACK | HANDLER_RESTART};
    for (size_t i = 0; i < sizeof action.mask / sizeof action.mask[0]; i++)
        action.mask[i] = ~0ul;
    next.sigaction(kept.drain_signal, &action, 0);
}

/* Programs that set all signals to their default, as Node does when it starts, mean what they inherited, not this. */
static bool is_reset(int number, void *handler)
{
    return kept.count > 0 && number == kept.drain_signal && (uintptr_t)handler <= 1 && drain_armed();
}

EXPORT int sigaction(int number, const struct action *action, struct action *before)
{
    struct action own;
    kept_begin();
    if (action != NULL && is_reset(number, action->handler)) {
        if (before != NULL)
            *before = (struct action){0};
        return 0;
    }
    if (next.sigaction == NULL)
        return (int)answer(-E_NOSYS);
    if (action != NULL && kept.drain_signal != 0 && drain_armed()) {
        /* held back until that handler returns, the signal would seem to have cut what the handler's own has */
        own = *action;
        own.mask[0] &= ~(1ul << (kept.drain_signal - 1));
        action = &own;
    }
    int result = next.sigaction(number, action, before);
    /* it never was the program's: who puts back what was there must not install it anew in a place of its own */
    if (result == 0 && before != NULL && before->handler == (void *)on_signal)
        *before = (struct action){0};
    return result;
}

static void *set_handler(void *(*call)(int, void *), int number, void *handler)
{
    if (is_reset(number, handler))
        return 0;
    if (call == NULL) {
        answer(-E_NOSYS);
        return (void *)-1L;
    }
    void *before = call(number, handler);
    return before == (void *)on_signal ? 0 : before;
}

EXPORT void *signal(int number, void *handler)
{
    kept_begin();
    return set_handler(next.signal, number, handler);
}

/* what signal() is by the header for a program compiled as strict C with X/Open */
EXPORT void *__sysv_signal(int number, void *handler)
{
    kept_begin();
    return set_handler(next.__sysv_signal, number, handler);
}

EXPORT void *bsd_signal(int number, void *handler)
{
    kept_begin();
    return set_handler(next.bsd_signal, number, handler);
}

/* A child of one thread while another drains: nobody is left there who would release the lock, or go on with what is half done. */
EXPORT int fork(void)
{
    kept_begin();
    if (next.fork == NULL)
        return (int)answer(-E_NOSYS);
    int child = next.fork();
    if (child != 0 || drain.lock == 0)
        return child;
    if (drain.only == ALL)
        drain.wanted = 1;
    drain.lock = 0;
    run_wanted();
    return child;
}
