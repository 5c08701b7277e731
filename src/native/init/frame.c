#include "frame.h"

#include <string.h>

#include "number.h"

enum { LONGEST_VERB = 32 };

static bool is_verb(const char *text)
{
    if (strcmp(text, "*") == 0)
        return true;
    if (text[0] < 'A' || text[0] > 'Z')
        return false;
    size_t length = 0;
    for (; text[length] != '\0'; length++)
        if (length >= LONGEST_VERB || !((text[length] >= 'A' && text[length] <= 'Z') || text[length] == '-'))
            return false;
    return true;
}

bool frame_open(struct frame *frame, const char *bytes, size_t length)
{
    if (length == 0 || bytes[length - 1] != '\0' || !is_verb(bytes))
        return false;
    frame->verb = bytes;
    frame->rest = bytes + strlen(bytes) + 1;
    frame->end = bytes + length;
    return true;
}

const char *frame_take(struct frame *frame)
{
    if (frame->rest >= frame->end)
        return NULL;
    const char *field = frame->rest;
    frame->rest += strlen(field) + 1;
    return field;
}

bool frame_take_number(struct frame *frame, int64_t least, int64_t most, int64_t *value)
{
    const char *field = frame_take(frame);
    return field != NULL && number_parse(field, least, most, value);
}

bool frame_at_end(const struct frame *frame)
{
    return frame->rest >= frame->end;
}

void frame_begin(struct frame_text *text, const char *verb)
{
    text->length = 0;
    frame_add(text, verb);
}

void frame_add(struct frame_text *text, const char *field)
{
    size_t room = sizeof text->bytes - text->length;
    size_t length = strlen(field);
    if (room == 0)
        return;
    if (length > room - 1)
        length = room - 1;
    memcpy(text->bytes + text->length, field, length);
    text->bytes[text->length + length] = '\0';
    text->length += length + 1;
}

void frame_add_number(struct frame_text *text, int64_t value)
{
    char digits[24];
    number_print(value, digits);
    frame_add(text, digits);
}
