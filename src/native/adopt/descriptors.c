/* close() and its like leave what is kept: a program that becomes a daemon closes everything, and binds afterwards. */
#include "kept.h"
#include "next.h"

EXPORT int close(int fd)
{
    kept_begin();
    if (kept_at(fd) != NULL)
        return 0;
    return next.close == NULL ? (int)answer(CALL(SYS_close, fd)) : next.close(fd);
}

/* The lowest number from `first` on at which something is kept; one beyond `last` when nothing is. */
static uint64_t next_kept(uint64_t first, uint64_t last)
{
    uint64_t found = last + 1;
    for (size_t i = 0; i < kept.count; i++) {
        int fd = kept.offers[i].fd;
        if (fd >= 0 && (uint64_t)fd >= first && (uint64_t)fd < found && kept_at(fd) != NULL)
            found = (uint64_t)fd;
    }
    return found;
}

static long close_between(uint64_t first, uint64_t last, unsigned flags)
{
    while (first <= last) {
        uint64_t stop = next_kept(first, last);
        long result = stop == first ? 0 : CALL(SYS_close_range, first, stop - 1, flags);
        if (result < 0)
            return result;
        first = stop + 1;
    }
    return 0;
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    kept_begin();
    if (first > last)
        return (int)answer(-E_INVAL);
    return (int)answer(close_between(first, last, (unsigned)flags));
}

EXPORT void closefrom(int low)
{
    kept_begin();
    uint64_t first = low < 0 ? 0 : (uint64_t)low;
    if (close_between(first, UINT32_MAX, 0) != -E_NOSYS)
        return;
    enum { open_files = 7 };
    struct limit limit = {1024, 1024};
    CALL(SYS_prlimit64, 0, open_files, 0, &limit);
    for (uint64_t fd = first; fd < limit.soft && fd <= INT32_MAX; fd++)
        if (kept_at((int)fd) == NULL)
            CALL(SYS_close, fd);
}
