#define _GNU_SOURCE
#include "say.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "state.h"

static bool is_verbose;

enum { HALF = 1000, LONGEST_ARGUMENT = 128 * 1024 /* MAX_ARG_STRLEN of the kernel, for a name or a PATH */ };
enum { NO_WAIT = 8 /* RWF_NOWAIT */ };

static const char start[] = "pingora-entry: ", left_out[] = "...";

static bool is_plain(char byte)
{
    return (unsigned char)byte >= ' ' && byte != 0x7f;
}

static int width(char byte)
{
    return is_plain(byte) ? 1 : (int)strlen("\\xNN");
}

static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80; /* UTF-8 */
}

/* A newline or an escape sequence in a name is shown, not obeyed. */
static char *put(char *out, const char *bytes, int count)
{
    for (int i = 0; i < count; i++) {
        if (is_plain(bytes[i]))
            *out++ = bytes[i];
        else
            out += sprintf(out, "\\x%02X", (unsigned char)bytes[i]);
    }
    return out;
}

/* All of it, or, when that is too long, its beginning and its end: what is long is a name, and it stands in the middle. */
static char *put_line(char *out, const char *text, int length)
{
    int head = 0, tail = length, used = 0;
    while (head < length && (used += width(text[head])) <= HALF)
        head++;
    used = 0;
    while (tail > head && (used += width(text[tail - 1])) <= HALF)
        tail--;
    if (tail > head) {
        while (head > 0 && is_inside_character(text[head]))
            head--;
        while (tail < length && is_inside_character(text[tail]))
            tail++;
    }
    out = put(out, text, head);
    if (tail > head)
        out = put(out, left_out, sizeof left_out - 1);
    return put(out, text + tail, length - tail);
}

/* Dropped where there is no room. O_NONBLOCK would be set for everyone who shares the pipe; NO_WAIT works on pipes since Linux 6.4. */
static void write_line(const char *text, size_t length)
{
    struct iovec whole = {.iov_base = (void *)text, .iov_len = length};
    const long position = -1; /* wherever it is */
    if (syscall(SYS_pwritev2, STDERR_FILENO, &whole, 1L, position, position, NO_WAIT) >= 0)
        return;
    /* else the next best: a pipe that polls as writable has room for a line of ours, unless somebody is faster */
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT))
        return;
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written;
}

static void line(const char *format, va_list arguments)
{
    static char text[2 * LONGEST_ARGUMENT]; /* no memory until it is used */
    char out[sizeof start + 2 * HALF + sizeof left_out + 1];
    int saved = errno;
    int length = vsnprintf(text, sizeof text, format, arguments);
    if (length >= (int)sizeof text)
        length = sizeof text - 1;
    char *end = put_line(put(out, start, sizeof start - 1), text, length < 0 ? 0 : length);
    *end++ = '\n';
    write_line(out, (size_t)(end - out));
    errno = saved;
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line(format, arguments);
    va_end(arguments);
}

void say_verbose(const char *format, ...)
{
    if (!is_verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    line(format, arguments);
    va_end(arguments);
}

void say_be_verbose(bool verbose)
{
    is_verbose = verbose;
}

void say_visit(struct state *state)
{
    STATE_FLAG(state, "verbose", is_verbose);
}
