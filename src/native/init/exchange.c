#define _GNU_SOURCE
#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "number.h"

size_t exchange_longest_path(void)
{
    return sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
}

static int milliseconds_left(const struct exchange *exchange)
{
    enum { HOUR = 3600000 };
    if (exchange->deadline == INT64_MAX)
        return -1;
    int64_t left = exchange->deadline - number_now();
    return left < 0 ? 0 : left > HOUR ? HOUR : (int)left;
}

/* EXCHANGE_OVER when `fd` can be read or written, EXCHANGE_LATE or EXCHANGE_INTERRUPTED */
static enum exchange_end wait_for(const struct exchange *exchange, int fd, short events)
{
    for (;;) {
        struct pollfd looks[] = {{.fd = fd, .events = events}, {.fd = exchange->interrupt, .events = POLLIN}};
        int count = poll(looks, 2, milliseconds_left(exchange));
        if (count > 0)
            return looks[1].revents != 0 ? EXCHANGE_INTERRUPTED : EXCHANGE_OVER;
        bool again = count < 0 ? errno == EINTR : exchange->deadline == INT64_MAX || number_now() < exchange->deadline;
        if (!again)
            return EXCHANGE_LATE;
    }
}

/* A pipe that polls as writable takes this much without blocking (PIPE_BUF, pipe(7)). */
enum { PIECE = 4096 };

enum exchange_end exchange_print(const struct exchange *exchange, int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        enum exchange_end end = wait_for(exchange, fd, POLLOUT);
        if (end != EXCHANGE_OVER)
            return end;
        ssize_t written = write(fd, bytes, length < PIECE ? length : PIECE);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (written <= 0)
            return EXCHANGE_BROKE_OFF;
        bytes += written;
        length -= (size_t)written;
    }
    return EXCHANGE_OVER;
}

/* -1: errno says why */
static int open_connection(const struct exchange *exchange)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, exchange->socket, strlen(exchange->socket));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    for (;;) {
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        /* EAGAIN: its queue is full, and no poll tells when it is not */
        if (fd < 0 || errno != EAGAIN || number_now() >= exchange->deadline)
            break;
        poll(NULL, 0, 10);
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

/* After a read or write that has failed: EXCHANGE_OVER when it is to be tried again. */
static enum exchange_end after_failure(struct exchange *exchange, int fd, short events)
{
    if (errno == EINTR)
        return EXCHANGE_OVER;
    if (errno == EAGAIN)
        return wait_for(exchange, fd, events);
    exchange->problem = strerror(errno);
    return EXCHANGE_BROKE_OFF;
}

static enum exchange_end send_request(struct exchange *exchange, int fd, const char *text, size_t length)
{
    enum exchange_end end = EXCHANGE_OVER;
    while (length > 0 && end == EXCHANGE_OVER) {
        ssize_t part = send(fd, text, length, MSG_NOSIGNAL);
        if (part <= 0) {
            end = after_failure(exchange, fd, POLLOUT);
            continue;
        }
        text += part;
        length -= (size_t)part;
    }
    return end;
}

static enum exchange_end read_answer(struct exchange *exchange, int fd)
{
    struct http *http = &exchange->http;
    char bytes[4096];
    while (http->state != HTTP_DONE && http->state != HTTP_BROKEN) {
        ssize_t length = read(fd, bytes, sizeof bytes);
        if (length > 0) {
            http_feed(http, bytes, (size_t)length);
            if (exchange->stopped)
                return EXCHANGE_STOPPED;
        } else if (length < 0) {
            enum exchange_end end = after_failure(exchange, fd, POLLIN);
            if (end != EXCHANGE_OVER)
                return end;
        } else if (!http_end(http)) {
            exchange->problem = "the answer is incomplete";
            return EXCHANGE_BROKE_OFF;
        }
    }
    return http->state == HTTP_BROKEN ? EXCHANGE_NOT_HTTP : EXCHANGE_OVER;
}

enum exchange_end exchange(struct exchange *exchange, const char *text, size_t length,
                           void (*body)(const char *bytes, size_t length, void *context), void *context)
{
    if (strlen(exchange->socket) > exchange_longest_path())
        return EXCHANGE_PATH_TOO_LONG;
    int fd = open_connection(exchange);
    if (fd < 0)
        return EXCHANGE_NO_CONNECTION;
    http_begin(&exchange->http, body, context);
    enum exchange_end end = send_request(exchange, fd, text, length);
    if (end == EXCHANGE_OVER)
        end = read_answer(exchange, fd);
    close(fd);
    return end;
}
