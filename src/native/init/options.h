#ifndef PINGORA_ENTRY_OPTIONS_H
#define PINGORA_ENTRY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "early.h"

enum { SIGNAL_COUNT = 65, AS_RECEIVED = -1 };

/* What the command line says up to its first word that is no option. */
struct options {
    bool no_group;
    bool subreaper;
    bool warn_on_reap;
    bool verbose;
    int parent_death_signal; /* 0: none */
    int64_t stop_delay_ms;
    int64_t reap_grace_ms;
    signed char rewrite[SIGNAL_COUNT]; /* AS_RECEIVED, 0 to drop, or a signal */
    uint32_t becomes_zero[8];          /* exit codes, one bit each */

    bool help;
    bool version;
    bool configured; /* an option that is the supervisor's was given: -c, -u, -d, -t */
    bool daemon;
    bool check;
    int first_word;      /* index in argv of the first word that is no option, or argc */
    bool after_dashes;   /* "--" came before it: it is a program whatever its name */
    const char *problem; /* the command line is wrong here: what is wrong with */
    const char *wrong;   /* this argument */
};

/* Never fails: a mistake is put into `problem` and `wrong`, for whoever finds that it matters. */
void options_parse(int argc, char *const argv[], int first, struct options *options);

#endif
