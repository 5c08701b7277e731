#include "fdinfo.h"

#include "text.h"

void fdinfo_begin(struct fdinfo *info, int wanted)
{
    info->wanted = wanted;
    info->found = false;
    info->events = 0;
    info->data = 0;
    info->length = 0;
}

static const char *pass_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* A number behind `label`; NULL when it is not there. */
static const char *field(const char *at, const char *label, unsigned base, uint64_t *number)
{
    at = text_after(pass_blanks(at), label);
    if (at == NULL)
        return NULL;
    at = pass_blanks(at);
    const char *start = at;
    *number = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0') : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10) : 16;
        if (digit >= base)
            break;
        *number = *number * base + digit;
    }
    return at == start ? NULL : at;
}

static void end_line(struct fdinfo *info)
{
    uint64_t fd, events, data;
    info->line[info->length] = '\0';
    info->length = 0;
    const char *at = field(info->line, "tfd:", 10, &fd);
    if (at == NULL || fd != (uint64_t)info->wanted || (at = field(at, "events:", 16, &events)) == NULL || field(at, "data:", 16, &data) == NULL)
        return;
    info->found = true;
    info->events = (uint32_t)events;
    info->data = data;
}

void fdinfo_feed(struct fdinfo *info, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && !info->found; i++)
        if (bytes[i] == '\n')
            end_line(info);
        else if (info->length + 1 < sizeof info->line)
            info->line[info->length++] = bytes[i];
}
