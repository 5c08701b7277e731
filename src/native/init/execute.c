#define _GNU_SOURCE
#include "execute.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const char *execute_variable(char *const environment[], const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; environment[i] != NULL; i++)
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
            return environment[i] + length + 1;
    return NULL;
}

/* The next "directory/name" of a search path, NULL after the last; too long ones are left out. */
static const char *next_candidate(const char **rest, const char *name, char *path, size_t size)
{
    while (*rest != NULL) {
        const char *directory = *rest;
        size_t length = strcspn(directory, ":");
        *rest = directory[length] == ':' ? directory + length + 1 : NULL;
        const char *separator = length == 0 ? "" : "/"; /* an empty element is the current directory */
        int printed = snprintf(path, size, "%.*s%s%s", (int)length, directory, separator, name);
        if (printed > 0 && (size_t)printed < size)
            return path;
    }
    return NULL;
}

/* Text, as far as its beginning tells: not, say, a program for another processor. */
static bool is_text(const char *path)
{
    char bytes[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, bytes, sizeof bytes);
    close(fd);
    return length >= 0 && memchr(bytes, '\0', (size_t)length) == NULL && !(length > 0 && bytes[0] == 0x7f);
}

static void run_by_shell(const char *path, char *const argv[], char *const environment[])
{
    size_t count = 0;
    while (argv[count] != NULL)
        count++;
    /* never freed: this process is about to be replaced, or to end */
    char **arguments = mmap(NULL, (count + 3) * sizeof *arguments, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arguments == MAP_FAILED)
        return;
    arguments[0] = (char *)"/bin/sh";
    arguments[1] = (char *)path;
    for (size_t i = 1; i < count; i++)
        arguments[i + 1] = argv[i];
    execve("/bin/sh", arguments, environment);
}

static void try_one(const char *path, char *const argv[], char *const environment[])
{
    execve(path, argv, environment);
    if (errno == ENOEXEC) {
        if (is_text(path))
            run_by_shell(path, argv, environment);
        errno = ENOEXEC;
    }
}

void execute(char *const argv[], char *const environment[])
{
    const char *name = argv[0];
    if (name[0] == '\0') {
        errno = ENOENT;
        return;
    }
    if (strchr(name, '/') != NULL) {
        try_one(name, argv, environment);
        return;
    }
    const char *rest = execute_variable(environment, "PATH");
    if (rest == NULL)
        rest = default_path;
    char path[PATH_MAX];
    int worst = ENOENT;
    while (next_candidate(&rest, name, path, sizeof path) != NULL) {
        try_one(path, argv, environment);
        if (errno == EACCES)
            worst = EACCES; /* as a shell: perhaps a later directory has one that may be run */
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT && errno != ENAMETOOLONG)
            return;
        else if (errno == ENOENT && access(path, F_OK) == 0)
            return; /* it is there, its interpreter is not */
    }
    errno = worst;
}

int execute_explain(const char *program, int error, char *const environment[])
{
    char path[PATH_MAX];
    bool named = strchr(program, '/') != NULL || program[0] == '\0';
    const char *search = execute_variable(environment, "PATH");
    if (search == NULL)
        search = default_path;
    const char *file = program;
    if (!named) {
        const char *rest = search;
        while ((file = next_candidate(&rest, program, path, sizeof path)) != NULL)
            if (access(file, F_OK) == 0)
                break;
    }
    if (error == ENOENT && file != NULL && access(file, F_OK) == 0) {
        say("cannot run \"%s\": the file exists, but the interpreter or loader that it names does not", file);
        return EXIT_NOT_FOUND;
    }
    if ((error == ENOENT || error == ENOTDIR) && !named) {
        say("cannot run \"%s\": not found in PATH (%s)", program, search);
        return EXIT_NOT_FOUND;
    }
    say("cannot run \"%s\": %s", file == NULL ? program : file, error == ENOENT ? "no such file" : strerror(error));
    return error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

const char *execute_find(const char *name, char *const environment[], char *path, size_t size)
{
    const char *rest = execute_variable(environment, "PATH");
    if (rest == NULL)
        rest = default_path;
    while (next_candidate(&rest, name, path, size) != NULL)
        if (access(path, X_OK) == 0)
            return path;
    return NULL;
}
