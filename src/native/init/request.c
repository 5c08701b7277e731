#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "execute.h"
#include "http.h"
#include "number.h"
#include "say.h"

static const char default_socket[] = "/run/pingora-entry/control.sock";

struct asked {
    const char *name;
    const char *method;
    const char *path;
    const char *socket;
    int64_t timeout_ms; /* INT64_MAX: for ever */
    int64_t deadline;
};

static const struct {
    const char *name, *method, *path;
    int64_t timeout_ms;
} subcommands[] = {
    {"healthcheck", "GET", "/readyz", 1000},
    {"prestop", "POST", "/prestop", INT64_MAX},
    {"phase", "GET", "/v1/phase", 1000},
};

bool request_is_for(const char *subcommand)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(subcommand, subcommands[i].name) == 0)
            return true;
    return false;
}

static int help(const char *name)
{
    bool health = strcmp(name, "healthcheck") == 0, stop = strcmp(name, "prestop") == 0;
    printf("usage: pingora-entry %s%s [--socket PATH] [--timeout SECONDS]\n\n%s\n\n"
           "  --socket PATH       the control socket (PINGORA_ENTRY_ADMIN_SOCKET, else %s)\n"
           "  --timeout SECONDS   how long to wait for the answer (%s)\n\n"
           "exit code: 0 yes, 1 no, 69 nobody answers, 64 wrong usage\n",
           name, health ? " [--live|--ready|--startup]" : "",
           health ? "Asks for the health of the running instance, its readiness unless told otherwise."
           : stop ? "Begins the stop and waits until the pod may be told to end: for a preStop hook."
                  : "Prints the phase that the running instance is in.",
           default_socket, stop ? "no limit" : "1");
    return fflush(stdout) == 0 ? 0 : EXIT_SYSTEM;
}

/* -1, or the exit code for a command line that is wrong or asks for help. */
static int read_arguments(struct asked *asked, char *const arguments[])
{
    bool health = strcmp(asked->name, "healthcheck") == 0;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        const char *argument = arguments[i];
        const char *equals = strchr(argument, '=');
        size_t length = equals == NULL ? strlen(argument) : (size_t)(equals - argument);
        bool socket = length == 8 && strncmp(argument, "--socket", 8) == 0;
        bool timeout = length == 9 && strncmp(argument, "--timeout", 9) == 0;
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
            return help(asked->name);
        if (socket || timeout) {
            const char *value = equals != NULL ? equals + 1 : arguments[++i];
            if (value == NULL || (timeout && !number_parse_seconds(value, &asked->timeout_ms))) {
                say("%s: %s needs %s", asked->name, socket ? "--socket" : "--timeout", socket ? "a path" : "seconds (2, 0.5)");
                return EXIT_WRONG_USAGE;
            }
            if (socket)
                asked->socket = value;
        } else if (health && strcmp(argument, "--live") == 0) {
            asked->path = "/livez";
        } else if (health && strcmp(argument, "--ready") == 0) {
            asked->path = "/readyz";
        } else if (health && strcmp(argument, "--startup") == 0) {
            asked->path = "/startupz";
        } else {
            say("%s: unknown argument \"%s\"; see pingora-entry %s --help", asked->name, argument, asked->name);
            return EXIT_WRONG_USAGE;
        }
    }
    return -1;
}

/* Waits until the socket can be read or written; false, with a word about it, when that takes too long. */
static bool wait_for(const struct asked *asked, int fd, short events)
{
    for (;;) {
        int64_t left = asked->deadline == INT64_MAX ? -1 : asked->deadline - number_now();
        struct pollfd look = {.fd = fd, .events = events};
        int count = left < 0 && asked->deadline != INT64_MAX ? 0 : poll(&look, 1, left > 3600000 ? 3600000 : (int)left);
        if (count > 0)
            return true;
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 && (asked->deadline == INT64_MAX || number_now() < asked->deadline))
            continue;
        say("%s: no answer on %s within %lld ms", asked->name, asked->socket, (long long)asked->timeout_ms);
        return false;
    }
}

static int open_connection(const struct asked *asked)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(asked->socket) >= sizeof address.sun_path) {
        say("%s: the path of the control socket is longer than %zu bytes: %s", asked->name, sizeof address.sun_path - 1, asked->socket);
        return -1;
    }
    strcpy(address.sun_path, asked->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    for (;;) {
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        /* EAGAIN: its queue is full, and no poll tells when it is not */
        if (fd < 0 || errno != EAGAIN || number_now() >= asked->deadline)
            break;
        poll(NULL, 0, 10);
    }
    say("%s: cannot connect to %s: %s%s", asked->name, asked->socket, strerror(errno),
        errno == ENOENT || errno == ECONNREFUSED ? "; is pingora-entry running, with this control socket?" : "");
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool send_request(const struct asked *asked, int fd)
{
    char text[256];
    int length = snprintf(text, sizeof text,
                          "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pingora-entry\r\nAccept: text/plain\r\n%sConnection: close\r\n\r\n",
                          asked->method, asked->path, strcmp(asked->method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
    int sent = 0;
    while (sent < length) {
        ssize_t part = send(fd, text + sent, (size_t)(length - sent), MSG_NOSIGNAL);
        if (part > 0)
            sent += (int)part;
        else if (errno == EAGAIN ? !wait_for(asked, fd, POLLOUT) : errno != EINTR)
            return false;
    }
    return true;
}

static void print_body(const char *bytes, size_t length, void *context)
{
    (void)context;
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        length -= (size_t)written;
    }
}

static int read_answer(const struct asked *asked, int fd)
{
    struct http http;
    char bytes[4096];
    http_begin(&http, print_body, NULL);
    while (http.state != HTTP_DONE && http.state != HTTP_BROKEN) {
        ssize_t length = read(fd, bytes, sizeof bytes);
        if (length > 0) {
            http_feed(&http, bytes, (size_t)length);
        } else if (length == 0) {
            http_end(&http);
            break;
        } else if (errno == EAGAIN ? !wait_for(asked, fd, POLLIN) : errno != EINTR) {
            return EXIT_NO_ANSWER;
        }
    }
    if (http.state != HTTP_DONE) {
        say("%s: the answer on %s is %s", asked->name, asked->socket, http.state == HTTP_BROKEN ? "not HTTP" : "incomplete");
        return EXIT_NO_ANSWER;
    }
    return http.status / 100 == 2 ? 0 : EXIT_REFUSED;
}

int request(const char *subcommand, char *const arguments[], char *const environment[])
{
    struct asked asked = {.socket = execute_variable(environment, "PINGORA_ENTRY_ADMIN_SOCKET")};
    if (asked.socket == NULL || asked.socket[0] == '\0')
        asked.socket = default_socket;
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (strcmp(subcommand, subcommands[i].name) != 0)
            continue;
        asked.name = subcommands[i].name;
        asked.method = subcommands[i].method;
        asked.path = subcommands[i].path;
        asked.timeout_ms = subcommands[i].timeout_ms;
    }
    int code = read_arguments(&asked, arguments);
    if (code >= 0)
        return code;
    asked.deadline = asked.timeout_ms == INT64_MAX ? INT64_MAX : number_now() + asked.timeout_ms;
    int fd = open_connection(&asked);
    if (fd < 0)
        return EXIT_NO_ANSWER;
    code = send_request(&asked, fd) ? read_answer(&asked, fd) : EXIT_NO_ANSWER;
    close(fd);
    return code;
}
