#define _GNU_SOURCE
#include "early.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "state.h"

/*
 * The kernel drops what it sends to a PID 1 that neither blocks nor handles it, and a static C library spends longer before main() than
 * everything after it (glibc asks the processor dozens of questions, each of which a virtual machine answers slowly). So the program's
 * entry point (-Wl,-e,pingora_entry_start) is this: block all signals, remember the mask that was, go on to the C library's _start as if
 * nothing had been. Linked without that option, main() does the same, later.
 */
#define UNTOUCHED (~(signal_set)0) /* no real mask: the kernel takes KILL and STOP out of each */

static const signal_set everything = ~(signal_set)0;
static signal_set given = UNTOUCHED;

#if defined(__x86_64__)
/* rdx is what the dynamic linker wants run at exit: _start must see it */
__asm__(".text\n"
        ".globl pingora_entry_start\n"
        ".type pingora_entry_start, @function\n"
        "pingora_entry_start:\n"
        "    mov %rdx, %r12\n"
        "    mov $14, %eax\n" /* rt_sigprocmask */
        "    mov $2, %edi\n"  /* SIG_SETMASK */
        "    lea pingora_entry_everything(%rip), %rsi\n"
        "    lea pingora_entry_given(%rip), %rdx\n"
        "    mov $8, %r10d\n"
        "    syscall\n"
        "    mov %r12, %rdx\n"
        "    jmp _start\n"
        ".size pingora_entry_start, . - pingora_entry_start\n");
#define STUB 1
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl pingora_entry_start\n"
        ".type pingora_entry_start, %function\n"
        "pingora_entry_start:\n"
        "    mov x19, x0\n"
        "    mov x8, #135\n"
        "    mov x0, #2\n"
        "    adrp x1, pingora_entry_everything\n"
        "    add x1, x1, :lo12:pingora_entry_everything\n"
        "    adrp x2, pingora_entry_given\n"
        "    add x2, x2, :lo12:pingora_entry_given\n"
        "    mov x3, #8\n"
        "    svc #0\n"
        "    mov x0, x19\n"
        "    b _start\n"
        ".size pingora_entry_start, . - pingora_entry_start\n");
#define STUB 1
#else
#error "write the entry stub for this processor: ten instructions, see above"
#endif

#ifdef STUB
extern const signal_set pingora_entry_everything __attribute__((alias("everything"), visibility("hidden")));
extern signal_set pingora_entry_given __attribute__((alias("given"), visibility("hidden")));
#endif

void early_block(void)
{
    /* volatile: the compiler does not see the stub write */
    if (*(volatile signal_set *)&given != UNTOUCHED)
        return;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &everything, &given, sizeof everything);
}

signal_set early_given_mask(void)
{
    return *(volatile signal_set *)&given;
}

void early_set_mask(signal_set mask)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

void early_visit(struct state *state)
{
    STATE_NUMBER(state, "mask", *(volatile signal_set *)&given, INT64_MIN, INT64_MAX);
}
