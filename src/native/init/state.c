#define _GNU_SOURCE
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "number.h"
#include "spawn_order.h"

void state_begin_write(struct state *state, int fd)
{
    memset(state, 0, sizeof *state);
    state->mode = STATE_WRITE;
    state->fd = fd;
}

void state_begin_let_through(struct state *state)
{
    memset(state, 0, sizeof *state);
    state->mode = STATE_LET_THROUGH;
}

bool state_begin_read(struct state *state, const char *bytes, size_t length)
{
    memset(state, 0, sizeof *state);
    state->mode = STATE_READ;
    state->rest = bytes;
    state->end = bytes + length;
    return length > 0 && bytes[length - 1] == '\0';
}

void state_flush(struct state *state)
{
    for (size_t at = 0; at < state->length && state->error == 0;) {
        ssize_t written = write(state->fd, state->bytes + at, state->length - at);
        if (written > 0)
            at += (size_t)written;
        else if (written == 0 || errno != EINTR)
            state->error = written == 0 ? ENOSPC : errno;
    }
    state->length = 0;
}

static void put(struct state *state, const char *text, size_t length)
{
    while (length > 0) {
        size_t part = sizeof state->bytes - state->length;
        if (part > length)
            part = length;
        memcpy(state->bytes + state->length, text, part);
        state->length += part;
        text += part;
        length -= part;
        if (state->length == sizeof state->bytes)
            state_flush(state);
    }
}

static void put_field(struct state *state, const char *key, const char *value)
{
    put(state, key, strlen(key));
    put(state, "=", 1);
    put(state, value, strlen(value) + 1);
}

void state_begin_record(struct state *state, const char *verb)
{
    if (state->mode == STATE_WRITE)
        put(state, verb, strlen(verb) + 1);
}

void state_end_record(struct state *state)
{
    if (state->mode == STATE_WRITE)
        put(state, "", 1);
}

const char *state_next(struct state *state)
{
    if (state->wrong != NULL || state->rest >= state->end)
        return NULL;
    const char *begin = state->rest, *at = begin;
    while (at < state->end && *at != '\0')
        at += strlen(at) + 1;
    /* the empty field that ends it is there, and is no field */
    if (at >= state->end || !frame_open(&state->fields, begin, (size_t)(at - begin))) {
        state->wrong = "record";
        return NULL;
    }
    state->rest = at + 1;
    return state->fields.verb;
}

/* The next value with this key. */
static const char *find(struct frame *fields, const char *key)
{
    for (const char *field; (field = frame_take(fields)) != NULL;) {
        const char *value = spawn_order_value(field, key);
        if (value != NULL)
            return value;
    }
    return NULL;
}

static const char *find_first(const struct state *state, const char *key)
{
    struct frame fields = state->fields;
    return find(&fields, key);
}

static void refuse(struct state *state, const char *key)
{
    if (state->wrong == NULL)
        state->wrong = key;
}

void state_number(struct state *state, const char *key, int64_t *value, int64_t least, int64_t most)
{
    char digits[24];
    if (state->mode == STATE_WRITE) {
        number_print(*value, digits);
        put_field(state, key, digits);
    } else if (state->mode == STATE_READ) {
        const char *text = find_first(state, key);
        if (text != NULL && !number_parse(text, least, most, value))
            refuse(state, key);
    }
}

void state_text(struct state *state, const char *key, char *value, size_t size)
{
    if (state->mode == STATE_WRITE) {
        put_field(state, key, value);
    } else if (state->mode == STATE_READ) {
        const char *text = find_first(state, key);
        if (text != NULL && strlen(text) >= size)
            refuse(state, key);
        else if (text != NULL)
            strcpy(value, text);
    }
}

/* One field for each of the frame's: it contains no empty verb, but may contain empty fields. */
void state_frame(struct state *state, const char *key, struct frame_text *value)
{
    if (state->mode == STATE_WRITE) {
        for (size_t at = 0; at < value->length; at += strlen(value->bytes + at) + 1)
            put_field(state, key, value->bytes + at);
    } else if (state->mode == STATE_READ) {
        struct frame fields = state->fields;
        const char *text = find(&fields, key);
        if (text == NULL)
            return;
        frame_begin(value, text);
        while ((text = find(&fields, key)) != NULL)
            frame_add(value, text);
        struct frame frame;
        if (value->length >= sizeof value->bytes || !frame_open(&frame, value->bytes, value->length))
            refuse(state, key);
    }
}

void state_fd(struct state *state, const char *key, int *fd)
{
    if (state->mode != STATE_LET_THROUGH)
        STATE_NUMBER(state, key, *fd, -1, INT32_MAX);
    else if (*fd >= 0 && fcntl(*fd, F_SETFD, 0) < 0 && state->error == 0)
        state->error = errno;
}
