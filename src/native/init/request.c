#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exchange.h"
#include "execute.h"
#include "number.h"
#include "print.h"
#include "say.h"

static const char default_socket[] = "/run/pingora-entry/control.sock";

struct asked {
    const char *name;
    const char *method;
    const char *path;
    int64_t timeout_ms; /* INT64_MAX: for ever */
    const char *help;
    const char *chosen; /* the option that says what to ask for */
    int tries;          /* how often to ask when the connection breaks off */
    int output_code;    /* why no more of the answer's body is printed; 0 while it is */
    struct exchange exchange;
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
                asked->exchange.socket = value;
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

static void print_body(const char *bytes, size_t length, void *context)
{
    struct asked *asked = context;
    if (asked->exchange.stopped)
        return;
    enum exchange_end end = exchange_print(&asked->exchange, STDOUT_FILENO, bytes, length);
    if (end == EXCHANGE_LATE)
        say("%s: nobody has read the output within %lld ms", asked->name, (long long)asked->timeout_ms);
    asked->output_code = end == EXCHANGE_OVER ? 0 : end == EXCHANGE_LATE ? EXIT_NO_ANSWER : print_failed();
    asked->exchange.stopped = end != EXCHANGE_OVER;
}

/* No exit code: the connection broke off. */
enum { BROKE_OFF = -1 };

static int ask(struct asked *asked)
{
    char text[256];
    int length = snprintf(text, sizeof text,
                          "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pingora-entry\r\nAccept: text/plain\r\n%sConnection: close\r\n\r\n",
                          asked->method, asked->path, strcmp(asked->method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
    const char *socket = asked->exchange.socket;
    switch (exchange(&asked->exchange, text, (size_t)length, print_body, asked)) {
    case EXCHANGE_OVER:
        return asked->exchange.http.status / 100 == 2 ? 0 : EXIT_REFUSED;
    case EXCHANGE_STOPPED:
        return asked->output_code;
    case EXCHANGE_BROKE_OFF:
        return BROKE_OFF;
    case EXCHANGE_PATH_TOO_LONG:
        say("%s: the path of the control socket is longer than %zu bytes: %s", asked->name, exchange_longest_path(), socket);
        return EXIT_NO_ANSWER;
    case EXCHANGE_NO_CONNECTION:
        say("%s: cannot connect to %s: %s%s", asked->name, socket, strerror(errno),
            errno == ENOENT || errno == ECONNREFUSED ? "; is pingora-entry running, with this control socket?" : "");
        return EXIT_NO_ANSWER;
    case EXCHANGE_NOT_HTTP:
        say("%s: the answer on %s is not HTTP", asked->name, socket);
        return EXIT_NO_ANSWER;
    default:
        say("%s: no answer on %s within %lld ms", asked->name, socket, (long long)asked->timeout_ms);
        return EXIT_NO_ANSWER;
    }
}

const char *request_socket(char *const environment[])
{
    const char *named = execute_variable(environment, "PINGORA_ENTRY_ADMIN_SOCKET");
    return named == NULL || named[0] == '\0' ? default_socket : named;
}

int request(const char *subcommand, char *const arguments[], char *const environment[])
{
    struct asked asked = {.exchange = {.socket = request_socket(environment), .interrupt = -1}};
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
    asked.exchange.deadline = asked.timeout_ms == INT64_MAX ? INT64_MAX : number_now() + asked.timeout_ms;
    while ((code = ask(&asked)) == BROKE_OFF) {
        if (--asked.tries <= 0 || number_now() >= asked.exchange.deadline) {
            say("%s: the connection to %s broke off: %s", asked.name, asked.exchange.socket, asked.exchange.problem);
            return EXIT_NO_ANSWER;
        }
        poll(NULL, 0, BETWEEN_TRIES_MS);
    }
    return code;
}
