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
#include "print.h"
#include "say.h"

static const char default_socket[] = "/run/pingora-entry/control.sock";

struct asked {
    const char *name;
    const char *method;
    const char *path;
    const char *socket;
    int64_t timeout_ms; /* INT64_MAX: for ever */
    int64_t deadline;
    const char *help;
    const char *chosen; /* the option that says what to ask for */
    int tries;          /* how often to ask when the connection breaks off */
    int output_code;    /* why no more of the answer's body is printed; 0 while it is */
    const char *problem;
};

#define SOCKET_HELP                                                                  \
    "  --socket PATH       the control socket (default: PINGORA_ENTRY_ADMIN_SOCKET,\n" \
    "                      else /run/pingora-entry/control.sock)\n"
#define CODES_HELP "\nExit code: 0 yes; 1 no; 64 wrong usage; 69 nobody answers; 71 cannot write.\n"

/* Word by word what `pingora-entry help NAME` prints (src/cli/native-commands.ts); a test compares them. */
static const char prestop_help[] =
    "usage: pingora-entry prestop [--socket PATH] [--timeout SECONDS]\n"
    "\n"
    "Begins the lame duck of the running instance and returns when it is over: the\n"
    "endpoints have had time to forget this pod, and SIGTERM may come. For the\n"
    "preStop hook of a pod. Native, costs a millisecond.\n"
    "\n" SOCKET_HELP
    "  --timeout SECONDS   how long to wait at most (default: as long as it takes)\n" CODES_HELP;

static const char healthcheck_help[] =
    "usage: pingora-entry healthcheck [--live|--ready|--startup] [--socket PATH]\n"
    "                                 [--timeout SECONDS]\n"
    "\n"
    "Asks for the health of the running instance. Prints ok; when a check fails, all\n"
    "of them, each with its reason. For exec probes and Docker's HEALTHCHECK. Native,\n"
    "costs a millisecond.\n"
    "\n"
    "  --live              is the supervisor alive? (/livez)\n"
    "  --ready             are the required services ready? (/readyz; the default)\n"
    "  --startup           has everything been started? (/startupz)\n" SOCKET_HELP
    "  --timeout SECONDS   how long to wait for the answer (default: 1)\n" CODES_HELP;

static const char phase_help[] =
    "usage: pingora-entry phase [--socket PATH] [--timeout SECONDS]\n"
    "\n"
    "Prints the phase in which the running instance is (docs/reference/phases.md).\n"
    "Native, costs a millisecond.\n"
    "\n" SOCKET_HELP
    "  --timeout SECONDS   how long to wait for the answer (default: 1)\n" CODES_HELP;

/*
 * A supervisor that is killed takes the connection along, and the init starts the next one: it joins the drain that is under way. After as
 * many deaths the init gives up, too.
 */
enum { PRESTOP_TRIES = 10, BETWEEN_TRIES_MS = 100 };

static const struct {
    const char *name, *method, *path;
    int64_t timeout_ms;
    const char *help;
    int tries;
} subcommands[] = {
    {"healthcheck", "GET", "/readyz", 1000, healthcheck_help, 1},
    {"prestop", "POST", "/prestop", INT64_MAX, prestop_help, PRESTOP_TRIES},
    {"phase", "GET", "/v1/phase", 1000, phase_help, 1},
};

bool request_is_for(const char *subcommand)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(subcommand, subcommands[i].name) == 0)
            return true;
    return false;
}

static int help(const struct asked *asked)
{
    return print(asked->help);
}

/* Two questions in one call have no common answer. */
static bool choose(struct asked *asked, const char *option, const char *path)
{
    if (asked->chosen != NULL && strcmp(asked->chosen, option) != 0) {
        say("%s: %s and %s are two questions; ask one", asked->name, asked->chosen, option);
        return false;
    }
    asked->chosen = option;
    asked->path = path;
    return true;
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
            return help(asked);
        if (socket || timeout) {
            const char *value = equals != NULL ? equals + 1 : arguments[++i];
            if (value == NULL || (timeout && !number_parse_seconds(value, &asked->timeout_ms))) {
                say("%s: %s needs %s", asked->name, socket ? "--socket" : "--timeout", socket ? "a path" : "seconds (2, 0.5)");
                return EXIT_WRONG_USAGE;
            }
            if (socket)
                asked->socket = value;
        } else if (health && strcmp(argument, "--live") == 0) {
            if (!choose(asked, "--live", "/livez"))
                return EXIT_WRONG_USAGE;
        } else if (health && strcmp(argument, "--ready") == 0) {
            if (!choose(asked, "--ready", "/readyz"))
                return EXIT_WRONG_USAGE;
        } else if (health && strcmp(argument, "--startup") == 0) {
            if (!choose(asked, "--startup", "/startupz"))
                return EXIT_WRONG_USAGE;
        } else {
            say("%s: unknown argument \"%s\"; see pingora-entry %s --help", asked->name, argument, asked->name);
            return EXIT_WRONG_USAGE;
        }
    }
    return -1;
}

/* Waits until the descriptor can be read or written; false when that takes too long. */
static bool is_ready(const struct asked *asked, int fd, short events)
{
    for (;;) {
        int64_t left = asked->deadline == INT64_MAX ? -1 : asked->deadline - number_now();
        struct pollfd look = {.fd = fd, .events = events};
        if (left < 0 && asked->deadline != INT64_MAX)
            left = 0;
        int count = poll(&look, 1, left > 3600000 ? 3600000 : (int)left);
        if (count > 0)
            return true;
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 && (asked->deadline == INT64_MAX || number_now() < asked->deadline))
            continue;
        return false;
    }
}

static bool wait_for(const struct asked *asked, int fd, short events)
{
    if (is_ready(asked, fd, events))
        return true;
    say("%s: no answer on %s within %lld ms", asked->name, asked->socket, (long long)asked->timeout_ms);
    return false;
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

/* No exit code: the connection broke off, and asked->problem says why. */
enum { BROKE_OFF = -1 };

/* After a read or write that has failed: 0 when it is to be tried again. */
static int after_failure(struct asked *asked, int fd, short events)
{
    if (errno == EINTR)
        return 0;
    if (errno == EAGAIN)
        return wait_for(asked, fd, events) ? 0 : EXIT_NO_ANSWER;
    asked->problem = strerror(errno);
    return BROKE_OFF;
}

static int send_request(struct asked *asked, int fd)
{
    char text[256];
    int length = snprintf(text, sizeof text,
                          "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pingora-entry\r\nAccept: text/plain\r\n%sConnection: close\r\n\r\n",
                          asked->method, asked->path, strcmp(asked->method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
    int sent = 0, code = 0;
    while (sent < length && code == 0) {
        ssize_t part = send(fd, text + sent, (size_t)(length - sent), MSG_NOSIGNAL);
        if (part > 0)
            sent += (int)part;
        else
            code = after_failure(asked, fd, POLLOUT);
    }
    return code;
}

/* A pipe that polls as writable takes this much without blocking (PIPE_BUF, pipe(7)). */
enum { PIECE = 4096 };

static void print_body(const char *bytes, size_t length, void *context)
{
    struct asked *asked = context;
    while (length > 0 && asked->output_code == 0) {
        if (!is_ready(asked, STDOUT_FILENO, POLLOUT)) {
            say("%s: nobody has read the output within %lld ms", asked->name, (long long)asked->timeout_ms);
            asked->output_code = EXIT_NO_ANSWER;
            return;
        }
        ssize_t written = write(STDOUT_FILENO, bytes, length < PIECE ? length : PIECE);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (written <= 0) {
            asked->output_code = print_failed();
            return;
        }
        bytes += written;
        length -= (size_t)written;
    }
}

static int read_answer(struct asked *asked, int fd)
{
    struct http http;
    char bytes[4096];
    http_begin(&http, print_body, asked);
    while (http.state != HTTP_DONE && http.state != HTTP_BROKEN) {
        ssize_t length = read(fd, bytes, sizeof bytes);
        if (length > 0) {
            http_feed(&http, bytes, (size_t)length);
            if (asked->output_code != 0)
                return asked->output_code;
        } else if (length < 0) {
            int code = after_failure(asked, fd, POLLIN);
            if (code != 0)
                return code;
        } else if (!http_end(&http)) {
            asked->problem = "the answer is incomplete";
            return BROKE_OFF;
        }
    }
    if (http.state == HTTP_BROKEN) {
        say("%s: the answer on %s is not HTTP", asked->name, asked->socket);
        return EXIT_NO_ANSWER;
    }
    return http.status / 100 == 2 ? 0 : EXIT_REFUSED;
}

static int ask(struct asked *asked)
{
    int fd = open_connection(asked);
    if (fd < 0)
        return EXIT_NO_ANSWER;
    int code = send_request(asked, fd);
    if (code == 0)
        code = read_answer(asked, fd);
    close(fd);
    return code;
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
        asked.help = subcommands[i].help;
        asked.tries = subcommands[i].tries;
    }
    int code = read_arguments(&asked, arguments);
    if (code >= 0)
        return code;
    asked.deadline = asked.timeout_ms == INT64_MAX ? INT64_MAX : number_now() + asked.timeout_ms;
    while ((code = ask(&asked)) == BROKE_OFF) {
        if (--asked.tries <= 0 || number_now() >= asked.deadline) {
            say("%s: the connection to %s broke off: %s", asked.name, asked.socket, asked.problem);
            return EXIT_NO_ANSWER;
        }
        poll(NULL, 0, BETWEEN_TRIES_MS);
    }
    return code;
}
