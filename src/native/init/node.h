#ifndef PINGORA_ENTRY_NODE_H
#define PINGORA_ENTRY_NODE_H

#include <limits.h>
#include <stdbool.h>

/* Where Node and the JavaScript half of this program are. */
struct node {
    char program[PATH_MAX];
    char script[PATH_MAX];
};

/*
 * Looks beside this executable, then in PINGORA_ENTRY_HOME, and for Node also in PATH. Says what it looked for when it finds nothing,
 * unless `quiet`.
 */
bool node_find(char *const environment[], bool quiet, struct node *node);

/* The arguments of `node SCRIPT SUBCOMMAND REST...`, in memory of their own; NULL when there is no memory. */
char **node_arguments(const struct node *node, const char *subcommand, char *const rest[]);

#endif
