#include "next.h"

#include <stdbool.h>

struct next next;

extern int *__errno_location(void) __attribute__((weak));
extern void *dlsym(void *, const char *) __attribute__((weak));
/* glibc before 2.34 has dlsym in a library of its own, which is loaded for few programs; this is what that one calls */
extern void *_dl_sym(void *, const char *, void *) __attribute__((weak));

static void *after_us(const char *name)
{
    void *const rtld_next = (void *)-1L;
    if (dlsym != NULL)
        return dlsym(rtld_next, name);
    return _dl_sym == NULL ? NULL : _dl_sym(rtld_next, name, (void *)next_begin);
}

void next_begin(void)
{
    static bool begun;
    if (begun)
        return;
    begun = true;
#define NEXT_FIND(name, result, arguments) next.name = (result(*) arguments)after_us(#name);
    NEXT_FUNCTIONS(NEXT_FIND)
#undef NEXT_FIND
}

int *error_place(void)
{
    static int nowhere;
    return __errno_location == NULL ? &nowhere : __errno_location();
}

long answer(long result)
{
    if (result >= 0 || result < -4095)
        return result;
    *error_place() = (int)-result;
    return -1;
}
