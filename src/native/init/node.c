#define _GNU_SOURCE
#include "node.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "execute.h"
#include "say.h"

static const char script_name[] = "pingora-entry.cjs";

static bool own_directory(char *directory, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", directory, size - 1);
    if (length <= 0)
        return false;
    directory[length] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

static bool join(char *path, const char *directory, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return length > 0 && length < PATH_MAX;
}

bool node_find(char *const environment[], bool quiet, struct node *node)
{
    char beside[PATH_MAX] = "";
    const char *named = execute_variable(environment, "PINGORA_ENTRY_HOME");
    const char *homes[] = {own_directory(beside, sizeof beside) ? beside : NULL, named};
    const char *home = NULL;
    for (size_t i = 0; i < 2 && home == NULL; i++)
        if (homes[i] != NULL && join(node->script, homes[i], script_name) && access(node->script, R_OK) == 0)
            home = homes[i];
    if (home == NULL) {
        if (!quiet && homes[0] == NULL)
            say("cannot find %s: where this program is cannot be told without /proc; looked in PINGORA_ENTRY_HOME (%s)", script_name,
                named == NULL ? "not set" : named);
        else if (!quiet)
            say("cannot find %s: looked in \"%s\" (beside this program) and in PINGORA_ENTRY_HOME (%s)", script_name, beside,
                named == NULL ? "not set" : named);
        return false;
    }
    if (join(node->program, home, "node") && access(node->program, X_OK) == 0)
        return true;
    if (execute_find("node", environment, node->program, sizeof node->program) != NULL)
        return true;
    const char *path = execute_variable(environment, "PATH");
    if (!quiet)
        say("cannot find Node: looked for \"%s/node\" and for node in PATH (%s)", home, path == NULL ? "not set" : path);
    return false;
}

char **node_arguments(const struct node *node, const char *subcommand, char *const rest[])
{
    size_t count = 0;
    while (rest[count] != NULL)
        count++;
    char **arguments = mmap(NULL, (count + 4) * sizeof *arguments, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arguments == MAP_FAILED)
        return NULL;
    size_t at = 0;
    arguments[at++] = (char *)node->program;
    arguments[at++] = (char *)node->script;
    arguments[at++] = (char *)subcommand;
    memcpy(arguments + at, rest, count * sizeof *arguments);
    return arguments;
}
