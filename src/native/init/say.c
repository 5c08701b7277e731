#define _GNU_SOURCE
#include "say.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "state.h"

static bool is_verbose;

static void line(const char *format, va_list arguments)
{
    char text[1024];
    int saved = errno;
    int length = snprintf(text, sizeof text, "pingora-entry: ");
    int more = vsnprintf(text + length, sizeof text - (size_t)length - 1, format, arguments);
    if (more < 0)
        more = 0;
    length += more;
    if (length > (int)sizeof text - 2)
        length = (int)sizeof text - 2;
    text[length++] = '\n';
    /* A pipe that polls as writable has room for a line of ours; O_NONBLOCK would be set for everyone who shares the pipe. */
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT)) {
        ssize_t written = write(STDERR_FILENO, text, (size_t)length);
        (void)written;
    }
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
