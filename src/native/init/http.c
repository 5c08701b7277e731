#include "http.h"

#include <string.h>
#include <strings.h>

void http_begin(struct http *http, void (*body)(const char *bytes, size_t length, void *context), void *context)
{
    memset(http, 0, sizeof *http);
    http->body = body;
    http->context = context;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static enum http_state read_status(struct http *http)
{
    const char *line = http->line;
    if (strncmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) || line[8] != ' ')
        return HTTP_BROKEN;
    if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) || (line[12] != ' ' && line[12] != '\0'))
        return HTTP_BROKEN;
    http->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    http->chunked = http->has_length = false;
    http->left = 0;
    return http->status < 100 ? HTTP_BROKEN : HTTP_HEADER;
}

static const char *header_value(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    line += length + 1;
    while (*line == ' ' || *line == '\t')
        line++;
    return line;
}

static bool read_length(const char *digits, uint64_t *length)
{
    uint64_t total = 0;
    const char *digit = digits;
    for (; is_digit(*digit); digit++)
        if (__builtin_mul_overflow(total, 10, &total) || __builtin_add_overflow(total, (uint64_t)(*digit - '0'), &total))
            return false;
    while (*digit == ' ' || *digit == '\t')
        digit++;
    *length = total;
    return digit != digits && *digit == '\0';
}

/* The headers are complete: what follows them. */
static enum http_state after_headers(struct http *http)
{
    if (http->status < 200)
        return HTTP_STATUS;
    if (http->status == 204 || http->status == 304)
        return HTTP_DONE;
    if (http->chunked)
        return HTTP_CHUNK_SIZE;
    return http->has_length && http->left == 0 ? HTTP_DONE : HTTP_BODY;
}

static enum http_state read_header(struct http *http)
{
    const char *value;
    if (http->line_length == 0)
        return after_headers(http);
    if ((value = header_value(http->line, "content-length")) != NULL) {
        uint64_t length;
        /* two different lengths, or one that is no number: nobody knows where this response ends */
        if (!read_length(value, &length) || (http->has_length && length != http->left))
            return HTTP_BROKEN;
        http->has_length = true;
        http->left = length;
    } else if ((value = header_value(http->line, "transfer-encoding")) != NULL) {
        if (strncasecmp(value, "chunked", 7) != 0)
            return HTTP_BROKEN;
        http->chunked = true;
    }
    return HTTP_HEADER;
}

static enum http_state read_chunk_size(struct http *http)
{
    uint64_t size = 0;
    size_t at = 0;
    for (; at < http->line_length; at++) {
        char byte = http->line[at];
        int digit = is_digit(byte)                    ? byte - '0'
                    : (byte >= 'a' && byte <= 'f')    ? byte - 'a' + 10
                    : (byte >= 'A' && byte <= 'F')    ? byte - 'A' + 10
                                                      : -1;
        if (digit < 0)
            break;
        if (size > UINT64_MAX >> 4)
            return HTTP_BROKEN;
        size = size << 4 | (uint64_t)digit;
    }
    char after = at < http->line_length ? http->line[at] : '\0';
    if (at == 0 || (after != '\0' && after != ';' && after != ' ' && after != '\t'))
        return HTTP_BROKEN;
    http->left = size;
    return size == 0 ? HTTP_TRAILER : HTTP_CHUNK;
}

static enum http_state read_line(struct http *http)
{
    switch (http->state) {
    case HTTP_STATUS:
        return read_status(http);
    case HTTP_HEADER:
        return read_header(http);
    case HTTP_CHUNK_SIZE:
        return read_chunk_size(http);
    case HTTP_CHUNK_END:
        return http->line_length == 0 ? HTTP_CHUNK_SIZE : HTTP_BROKEN;
    default:
        return http->line_length == 0 ? HTTP_DONE : HTTP_TRAILER;
    }
}

/* One byte of a line; at its end what it says is taken in. */
static void feed_line(struct http *http, char byte)
{
    if (byte != '\n') {
        if (http->line_length < sizeof http->line - 1)
            http->line[http->line_length++] = byte;
        return;
    }
    if (http->line_length > 0 && http->line[http->line_length - 1] == '\r')
        http->line_length--;
    http->line[http->line_length] = '\0';
    http->state = read_line(http);
    http->line_length = 0;
}

void http_feed(struct http *http, const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && http->state != HTTP_DONE && http->state != HTTP_BROKEN) {
        if (http->state != HTTP_BODY && http->state != HTTP_CHUNK) {
            feed_line(http, bytes[at++]);
            continue;
        }
        bool counted = http->state == HTTP_CHUNK || http->has_length;
        size_t part = length - at;
        if (counted && part > http->left)
            part = (size_t)http->left;
        http->body(bytes + at, part, http->context);
        at += part;
        if (!counted)
            continue;
        http->left -= part;
        if (http->left == 0)
            http->state = http->state == HTTP_CHUNK ? HTTP_CHUNK_END : HTTP_DONE;
    }
}

bool http_end(struct http *http)
{
    if (http->state == HTTP_BODY && !http->has_length)
        http->state = HTTP_DONE;
    return http->state == HTTP_DONE;
}
