#ifndef PINGORA_ENTRY_FRAME_H
#define PINGORA_ENTRY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *   verb NUL field NUL field ... NUL            (PROTOCOL.md)
 *
 * Reading: a frame is read in place; what is taken from it points into it.
 */
struct frame {
    const char *verb;
    const char *rest; /* the next field, or `end` */
    const char *end;
};

enum {
    FRAME_DIRECT_BYTES = 60000,
    FRAME_MOST_BYTES = 8 << 20,
    FRAME_MOST_FDS = 64,
    FRAME_MOST_ANSWER = 1024,
};

/* False unless `bytes` end with a NUL and begin with a verb: capital letters and '-', or "*". */
bool frame_open(struct frame *frame, const char *bytes, size_t length);

/* The next field; NULL when there is none. */
const char *frame_take(struct frame *frame);
bool frame_take_number(struct frame *frame, int64_t least, int64_t most, int64_t *value);
bool frame_at_end(const struct frame *frame);

/* Writing: what does not fit is left out, which no frame of ours ever needs. */
struct frame_text {
    size_t length;
    char bytes[FRAME_MOST_ANSWER];
};

void frame_begin(struct frame_text *text, const char *verb);
void frame_add(struct frame_text *text, const char *field);
void frame_add_number(struct frame_text *text, int64_t value);

#endif
