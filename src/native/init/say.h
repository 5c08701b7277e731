#ifndef PINGORA_ENTRY_SAY_H
#define PINGORA_ENTRY_SAY_H

#include <stdbool.h>

/* sysexits.h and the shell, as in docs/reference/exit-codes.md */
enum {
    EXIT_REFUSED = 1,
    EXIT_WRONG_USAGE = 64,
    EXIT_NO_ANSWER = 69,
    EXIT_BUG = 70,
    EXIT_SYSTEM = 71,
    EXIT_TRY_LATER = 75,
    EXIT_CANNOT_EXECUTE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_INTERRUPTED = 130, /* 128 + SIGINT */
};

struct state;

/*
 * One line to stderr, "pingora-entry: " before it: control characters as \xNN, about 2,000 bytes at most, of a longer one the middle is left
 * out. Dropped rather than waited for when nobody reads.
 */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* As say, when --verbose is given. */
__attribute__((format(printf, 1, 2))) void say_verbose(const char *format, ...);

void say_be_verbose(bool verbose);

void say_visit(struct state *state);

#endif
