#define _GNU_SOURCE
#include "upgrade.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "early.h"
#include "exchange.h"
#include "execute.h"
#include "number.h"
#include "print.h"
#include "request.h"
#include "say.h"

/* An order is not lost with a supervisor that stands still: the init starts another one after 5 s, which finds it in the queue. */
enum { ANSWER_MS = 15000 };

struct order {
    const char *socket, *path;
    bool wait;
    /* the answer, a line at a time: a letter of src/adapters/http/upgrade-route.ts, and what it stands before */
    struct exchange exchange;
    char kind; /* 0: a line begins */
    char word[64];
    size_t word_length;
    char attempt[64]; /* empty: none has begun */
    int64_t code;     /* -1: not told */
    enum exchange_end printed;
    int print_error;
};

/* Text that grows, with its NUL; `fits` is false when something was too long, or cannot be sent as it is. */
struct text {
    char bytes[16384];
    size_t length;
    bool fits;
};

static void add(struct text *text, const char *more)
{
    size_t length = strlen(more);
    text->fits = text->fits && text->length + length < sizeof text->bytes;
    if (!text->fits)
        return;
    memcpy(text->bytes + text->length, more, length + 1);
    text->length += length;
}

/* Nothing that a string of JSON would have to escape. */
static bool is_plain(const char *text)
{
    for (const char *byte = text; *byte != '\0'; byte++)
        if (*byte < ' ' || *byte >= 0x7f || *byte == '"' || *byte == '\\')
            return false;
    return true;
}

/* A path as a string of JSON, made absolute. */
static void add_path(struct text *text, const char *path)
{
    char directory[PATH_MAX] = "";
    if (path[0] != '/' && (getcwd(directory, sizeof directory) == NULL || directory[0] != '/'))
        text->fits = false;
    text->fits = text->fits && path[0] != '\0' && path[0] != '-' && is_plain(directory) && is_plain(path);
    add(text, "\"");
    add(text, directory);
    add(text, path[0] == '/' ? "" : "/");
    add(text, path);
    add(text, "\"");
}

/* The value of `--name VALUE` or `--name=VALUE` (or its letter) at *index, which is moved on to it; NULL: another option. */
static const char *value_of(char *const arguments[], size_t *index, const char *name, const char *letter)
{
    const char *argument = arguments[*index];
    size_t length = strlen(name);
    if (strncmp(argument, name, length) == 0 && argument[length] == '=')
        return argument + length + 1;
    if (strcmp(argument, name) != 0 && strcmp(argument, letter) != 0)
        return NULL;
    if (arguments[*index + 1] == NULL)
        return NULL;
    return arguments[++*index];
}

/* False: Node is to say what is wrong, or to do what is asked. */
static bool read_arguments(struct order *order, struct text *body, char *const arguments[])
{
    const char *between = "";
    add(body, "{\"conf\":[");
    for (size_t i = 0; arguments[i] != NULL; i++) {
        const char *value;
        if (strcmp(arguments[i], "--wait") == 0) {
            order->wait = true;
        } else if ((value = value_of(arguments, &i, "--socket", "--socket")) != NULL) {
            order->socket = value;
            body->fits = body->fits && value[0] != '\0' && value[0] != '-';
        } else if ((value = value_of(arguments, &i, "--path", "--path")) != NULL) {
            order->path = value;
        } else if ((value = value_of(arguments, &i, "--conf", "-c")) != NULL) {
            add(body, between);
            add_path(body, value);
            between = ",";
        } else {
            return false;
        }
    }
    add(body, "]");
    if (order->path != NULL) {
        add(body, ",\"path\":");
        add_path(body, order->path);
    }
    add(body, order->wait ? ",\"wait\":true}" : "}");
    return body->fits;
}

static void end_line(struct order *order)
{
    order->word[order->word_length] = '\0';
    if (order->kind == '#')
        memcpy(order->attempt, order->word, order->word_length + 1);
    if (order->kind == '=' && !number_parse(order->word, 0, 255, &order->code))
        order->code = -1;
    order->kind = 0;
    order->word_length = 0;
}

static void show(struct order *order, const char *bytes, size_t length)
{
    int fd = order->kind == '>' ? STDOUT_FILENO : STDERR_FILENO;
    order->printed = exchange_print(&order->exchange, fd, bytes, length);
    order->print_error = errno;
    /* what cannot be told on stderr cannot be told */
    order->exchange.stopped = order->printed == EXCHANGE_INTERRUPTED || (order->printed != EXCHANGE_OVER && fd == STDOUT_FILENO);
}

static void keep(struct order *order, const char *bytes, size_t length)
{
    size_t room = sizeof order->word - 1 - order->word_length;
    size_t part = length < room ? length : room;
    memcpy(order->word + order->word_length, bytes, part);
    order->word_length += part;
}

static void take(const char *bytes, size_t length, void *context)
{
    struct order *order = context;
    order->exchange.deadline = INT64_MAX;
    while (length > 0 && order->exchange.http.status == 200 && !order->exchange.stopped) {
        if (order->kind == 0) {
            order->kind = *bytes++;
            length--;
            continue;
        }
        const char *end = memchr(bytes, '\n', length);
        size_t part = end == NULL ? length : (size_t)(end - bytes);
        if (order->kind == '>' || order->kind == '!')
            show(order, bytes, end == NULL ? part : part + 1);
        else
            keep(order, bytes, part);
        if (end != NULL)
            end_line(order);
        part += end != NULL;
        bytes += part;
        length -= part;
    }
}

static int interrupted(const struct order *order)
{
    if (order->attempt[0] != '\0')
        say("the upgrade goes on; pingora-entry status tells how it ends");
    return EXIT_INTERRUPTED;
}

/* Who ordered it wants no more of it, or cannot be told. */
static int stopped(const struct order *order)
{
    if (order->printed == EXCHANGE_INTERRUPTED || order->print_error == EPIPE)
        return interrupted(order);
    errno = order->print_error;
    return print_failed();
}

static int64_t milliseconds_since_epoch(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wants_colour(char *const environment[])
{
    const char *none = execute_variable(environment, "NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && (none == NULL || none[0] == '\0');
}

/* INT and TERM stay blocked, and a descriptor tells of them; a reader that goes away is an error: both leave time for a last word. */
static int interrupts(void)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN); /* as Node does */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    early_set_mask(early_given_mask() | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGTERM));
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int after(struct order *order, enum exchange_end end, const char *began, char asked[UPGRADE_ASKED_SIZE])
{
    switch (end) {
    case EXCHANGE_STOPPED:
        return stopped(order);
    case EXCHANGE_INTERRUPTED:
        return interrupted(order);
    case EXCHANGE_LATE:
        say("cannot reach a running instance at %s: no answer within %d s", order->socket, ANSWER_MS / 1000);
        return EXIT_NO_ANSWER;
    case EXCHANGE_OVER:
        /* an older release knows no such request; what was in the way of an order that waits may be gone */
        if (order->exchange.http.status != 200 || (order->wait && order->code == EXIT_TRY_LATER))
            return UPGRADE_NEEDS_NODE;
        if (order->code >= 0)
            return (int)order->code;
        break;
    case EXCHANGE_BROKE_OFF:
        /* the code is the last word: what was to come after it is nothing */
        if (order->code >= 0 && !(order->wait && order->code == EXIT_TRY_LATER))
            return (int)order->code;
        break;
    default:
        return UPGRADE_NEEDS_NODE;
    }
    snprintf(asked, UPGRADE_ASKED_SIZE, "--asked=%s:%s", began, order->attempt);
    return UPGRADE_NEEDS_NODE;
}

int upgrade(char *const arguments[], char *const environment[], char asked[UPGRADE_ASKED_SIZE])
{
    static struct text body = {.fits = true}, request = {.fits = true};
    struct order order = {.socket = request_socket(environment), .code = -1};
    char began[24], length[24];
    asked[0] = '\0';
    if (!read_arguments(&order, &body, arguments))
        return UPGRADE_NEEDS_NODE;
    number_print(milliseconds_since_epoch(), began);
    number_print((int64_t)body.length, length);
    add(&request, "POST /v1/upgrade/terminal");
    add(&request, wants_colour(environment) ? "?colour=true" : "");
    add(&request, " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pingora-entry\r\nContent-Type: application/json\r\nContent-Length: ");
    add(&request, length);
    add(&request, "\r\nConnection: close\r\n\r\n");
    add(&request, body.bytes);
    if (!request.fits)
        return UPGRADE_NEEDS_NODE;
    order.exchange = (struct exchange){
        .socket = order.socket, .deadline = number_now() + ANSWER_MS, .interrupt = interrupts()};
    enum exchange_end end = exchange(&order.exchange, request.bytes, request.length, take, &order);
    return after(&order, end, began, asked);
}
