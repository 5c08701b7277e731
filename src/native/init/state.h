#ifndef PINGORA_ENTRY_STATE_H
#define PINGORA_ENTRY_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/*
 * What an init leaves to the one that replaces it (REPLACE): records, each a verb and fields "key=value".
 *
 *   record = verb NUL field NUL ... field NUL NUL
 *
 * Each module that has something to leave visits its variables, once for writing, reading, and letting descriptors through an exec: so the two
 * ends cannot differ. Unknown verbs and keys are ignored, a missing key leaves the variable as it is, a value that cannot be is a refusal.
 */
enum state_mode { STATE_WRITE, STATE_READ, STATE_LET_THROUGH };

struct state {
    enum state_mode mode;
    const char *wrong; /* the first key whose value cannot be, or record that does not fit; NULL: none */
    int error;         /* errno of what failed while writing or letting through; 0: nothing */

    int fd; /* written to */
    size_t length;
    char bytes[4096];

    struct frame fields; /* of the record that is read */
    const char *rest, *end;
};

void state_begin_write(struct state *state, int fd);
void state_begin_let_through(struct state *state);
/* False when `bytes` are no records at all. */
bool state_begin_read(struct state *state, const char *bytes, size_t length);

/* Writing: a record with all that is visited between the two. */
void state_begin_record(struct state *state, const char *verb);
void state_end_record(struct state *state);
/* After the last record. */
void state_flush(struct state *state);

/* Reading: the next record's verb, NULL after the last, or when what follows is none: `wrong` says so. */
const char *state_next(struct state *state);

void state_number(struct state *state, const char *key, int64_t *value, int64_t least, int64_t most);
void state_text(struct state *state, const char *key, char *value, size_t size);
void state_frame(struct state *state, const char *key, struct frame_text *value);
/* A descriptor of ours, or -1. */
void state_fd(struct state *state, const char *key, int *fd);

/* A variable of whatever integer type. */
#define STATE_NUMBER(state, key, variable, least, most) \
    do { \
        int64_t number_ = (int64_t)(variable); \
        state_number(state, key, &number_, least, most); \
        (variable) = (__typeof__(variable))number_; \
    } while (0)
#define STATE_FLAG(state, key, variable) STATE_NUMBER(state, key, variable, 0, 1)
/* An instant, a duration, a count: whatever is not negative. */
#define STATE_AMOUNT(state, key, variable) STATE_NUMBER(state, key, variable, 0, INT64_MAX)

#endif
