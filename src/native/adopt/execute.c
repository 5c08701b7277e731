/*
 * exec*() and posix_spawn*(): what is kept stays open in the new program, and the variables that tell of it are in its environment, also when
 * this one cleared its own or made a new one. PINGORA_ENTRY_ADOPT= with nothing behind it is a program's way to say that it wants neither.
 */
#include <stdarg.h>

#include "kept.h"
#include "next.h"
#include "text.h"

extern char **environ __attribute__((weak));

enum { MOST_VARIABLES = 8192, MOST_ARGUMENTS = 4096 };

enum which { EXECVE, EXECVPE, FEXECVE, SPAWN, SPAWNP };

struct order {
    enum which which;
    const char *file;
    int fd;
    char *const *argv;
    int *pid;
    const void *actions, *attributes;
};

static int run(const struct order *order, char *const *environment)
{
    switch (order->which) {
    case EXECVPE:
        return next.execvpe == NULL ? (int)answer(-E_NOSYS) : next.execvpe(order->file, order->argv, environment);
    case FEXECVE:
        return next.fexecve == NULL ? (int)answer(CALL(SYS_execveat, order->fd, "", order->argv, environment, AT_EMPTY))
                                    : next.fexecve(order->fd, order->argv, environment);
    case SPAWN:
        return next.posix_spawn == NULL ? E_NOSYS : next.posix_spawn(order->pid, order->file, order->actions, order->attributes, order->argv, environment);
    case SPAWNP:
        return next.posix_spawnp == NULL ? E_NOSYS : next.posix_spawnp(order->pid, order->file, order->actions, order->attributes, order->argv, environment);
    default:
        return next.execve == NULL ? (int)answer(CALL(SYS_execve, order->file, order->argv, environment)) : next.execve(order->file, order->argv, environment);
    }
}

static bool names_library(const char *preload)
{
    size_t length = text_length(kept.library);
    while (*preload != '\0') {
        size_t end = 0;
        while (preload[end] != '\0' && preload[end] != ':' && preload[end] != ' ')
            end++;
        if (end == length && bytes_equal(preload, kept.library, length))
            return true;
        preload += preload[end] == '\0' ? end : end + 1;
    }
    return false;
}

static char *put(char *to, const char *text)
{
    size_t length = text_length(text);
    bytes_copy(to, text, length + 1);
    return to + length;
}

/* In a function of its own, so that the copy lives on the stack until the call returns: a child of vfork() must not allocate. */
static int run_completed(const struct order *order, char *const *environment, size_t count, const char *told, const char *preload)
{
    char library[sizeof "LD_PRELOAD=" + sizeof kept.library + (preload == NULL ? 0 : text_length(preload)) + 1];
    char variable[sizeof "PINGORA_ENTRY_ADOPT=" + (told == NULL ? text_length(kept.variable) : 0)];
    char drain[sizeof "PINGORA_ENTRY_ADOPT_DRAIN=" + sizeof kept.drain_variable];
    char *list[count + 4];
    size_t length = 0;
    char *end = put(put(library, "LD_PRELOAD="), kept.library);
    if (preload != NULL && *preload != '\0')
        put(put(end, ":"), preload);
    list[length++] = library;
    if (told == NULL) {
        put(put(variable, "PINGORA_ENTRY_ADOPT="), kept.variable);
        list[length++] = variable;
        if (kept.drain_variable[0] != '\0') {
            put(put(drain, "PINGORA_ENTRY_ADOPT_DRAIN="), kept.drain_variable);
            list[length++] = drain;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (text_after(environment[i], "LD_PRELOAD=") == NULL && (told != NULL || text_after(environment[i], "PINGORA_ENTRY_ADOPT_DRAIN=") == NULL))
            list[length++] = environment[i];
    list[length] = NULL;
    return run(order, list);
}

static int execute(const struct order *order, char *const *environment)
{
    static char *const nothing[] = {NULL};
    kept_begin();
    if (kept.count == 0)
        return run(order, environment);
    kept_survive();
    if (kept.library[0] == '\0')
        return run(order, environment);
    const char *told = NULL, *preload = NULL;
    size_t count = 0;
    for (char *const *each = environment == NULL ? nothing : environment; *each != NULL; each++, count++) {
        const char *value = text_after(*each, "PINGORA_ENTRY_ADOPT=");
        if (value != NULL)
            told = value;
        if ((value = text_after(*each, "LD_PRELOAD=")) != NULL)
            preload = value;
    }
    bool refused = told != NULL && *told == '\0', complete = told != NULL && preload != NULL && names_library(preload);
    if (refused || complete || count > MOST_VARIABLES || (preload != NULL && text_length(preload) > 65536))
        return run(order, environment);
    return run_completed(order, environment == NULL ? nothing : environment, count, told, preload);
}

EXPORT int execve(const char *file, char *const argv[], char *const environment[])
{
    return execute(&(struct order){.which = EXECVE, .file = file, .argv = argv}, environment);
}

EXPORT int execv(const char *file, char *const argv[]) { return execve(file, argv, environ); }

EXPORT int execvpe(const char *file, char *const argv[], char *const environment[])
{
    return execute(&(struct order){.which = EXECVPE, .file = file, .argv = argv}, environment);
}

EXPORT int execvp(const char *file, char *const argv[]) { return execvpe(file, argv, environ); }

EXPORT int fexecve(int fd, char *const argv[], char *const environment[])
{
    return execute(&(struct order){.which = FEXECVE, .fd = fd, .argv = argv}, environment);
}

EXPORT int posix_spawn(int *pid, const char *file, const void *actions, const void *attributes, char *const argv[], char *const environment[])
{
    return execute(&(struct order){.which = SPAWN, .file = file, .pid = pid, .actions = actions, .attributes = attributes, .argv = argv}, environment);
}

EXPORT int posix_spawnp(int *pid, const char *file, const void *actions, const void *attributes, char *const argv[], char *const environment[])
{
    return execute(&(struct order){.which = SPAWNP, .file = file, .pid = pid, .actions = actions, .attributes = attributes, .argv = argv}, environment);
}

static size_t count_arguments(const char *first, va_list list)
{
    size_t count = first != NULL;
    while (first != NULL && count <= MOST_ARGUMENTS && va_arg(list, const char *) != NULL)
        count++;
    return count;
}

/* `with`: the environment stands behind the arguments, as in execle() */
static int execute_list(enum which which, const char *file, const char *first, va_list list, bool with)
{
    va_list counting;
    va_copy(counting, list);
    size_t count = count_arguments(first, counting);
    va_end(counting);
    if (count > MOST_ARGUMENTS)
        return (int)answer(-E_BIG);
    char *argv[count + 1];
    argv[0] = (char *)first;
    for (size_t i = 1; i < count; i++)
        argv[i] = va_arg(list, char *);
    if (count > 0)
        (void)va_arg(list, char *);
    argv[count] = NULL;
    char *const *environment = with ? va_arg(list, char *const *) : environ;
    return execute(&(struct order){.which = which, .file = file, .argv = argv}, environment);
}

EXPORT int execl(const char *file, const char *first, ...)
{
    va_list list;
    va_start(list, first);
    int result = execute_list(EXECVE, file, first, list, false);
    va_end(list);
    return result;
}

EXPORT int execlp(const char *file, const char *first, ...)
{
    va_list list;
    va_start(list, first);
    int result = execute_list(EXECVPE, file, first, list, false);
    va_end(list);
    return result;
}

EXPORT int execle(const char *file, const char *first, ...)
{
    va_list list;
    va_start(list, first);
    int result = execute_list(EXECVE, file, first, list, true);
    va_end(list);
    return result;
}
