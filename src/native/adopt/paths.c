/*
 * unlink() and its like: programs remove the path of a unix socket before bind() and at their end. The path of an offered one is in use by
 * others, who would be found no more.
 */
#include "kept.h"
#include "next.h"

static bool is_offered(int directory, const char *path)
{
    kept_begin();
    if (!kept.has_paths || path == NULL)
        return false;
    for (size_t i = 0; i < kept.count; i++)
        if (offer_has_path(&kept.offers[i], directory, path))
            return true;
    return false;
}

EXPORT int unlink(const char *path)
{
    if (is_offered(AT_HERE, path))
        return 0;
    return next.unlink == NULL ? (int)answer(CALL(SYS_unlinkat, AT_HERE, path, 0)) : next.unlink(path);
}

EXPORT int unlinkat(int directory, const char *path, int flags)
{
    if (!(flags & AT_REMOVE_DIRECTORY) && is_offered(directory, path))
        return 0;
    return next.unlinkat == NULL ? (int)answer(CALL(SYS_unlinkat, directory, path, flags)) : next.unlinkat(directory, path, flags);
}

EXPORT int remove(const char *path)
{
    if (is_offered(AT_HERE, path))
        return 0;
    if (next.remove != NULL)
        return next.remove(path);
    long result = CALL(SYS_unlinkat, AT_HERE, path, 0);
    enum { is_directory = 21 };
    return (int)answer(result == -is_directory ? CALL(SYS_unlinkat, AT_HERE, path, AT_REMOVE_DIRECTORY) : result);
}
