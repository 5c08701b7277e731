#include "options.h"

#include <signal.h>
#include <string.h>

#include "number.h"

enum { DEFAULT_REAP_GRACE_MS = 2000 };

struct reader {
    int argc;
    char *const *argv;
    int at;
    struct options *options;
};

static void wrong(struct options *options, const char *problem, const char *argument)
{
    if (options->problem != NULL)
        return;
    options->problem = problem;
    options->wrong = argument;
}

/* The value of "--name=value" or "--name value", when the argument at hand is that option. */
static const char *value_of(struct reader *reader, const char *name)
{
    const char *argument = reader->argv[reader->at];
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0)
        return NULL;
    if (argument[length] == '=')
        return argument + length + 1;
    if (argument[length] != '\0')
        return NULL;
    if (reader->at + 1 >= reader->argc) {
        wrong(reader->options, "needs a value:", argument);
        return "";
    }
    return reader->argv[++reader->at];
}

static void read_rewrite(struct options *options, const char *text)
{
    char from_name[16] = "";
    const char *colon = strchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof from_name) {
        wrong(options, "--rewrite needs FROM:TO, not", text);
        return;
    }
    memcpy(from_name, text, (size_t)(colon - text));
    int from = number_parse_signal(from_name);
    int to = number_parse_signal(colon + 1);
    if (from <= 0 || to < 0) {
        wrong(options, "--rewrite needs FROM:TO, both signals (TO may be 0), not", text);
        return;
    }
    if (from == SIGKILL || from == SIGSTOP) {
        wrong(options, "--rewrite cannot change KILL or STOP, which nobody receives:", text);
        return;
    }
    if (from == SIGCHLD) {
        wrong(options, "--rewrite cannot change CHLD, which tells this program that a child has ended and is never passed on:", text);
        return;
    }
    options->rewrite[from] = (signed char)to;
}

static void read_remap(struct options *options, const char *text)
{
    int64_t code;
    if (!number_parse(text, 0, 255, &code)) {
        wrong(options, "--remap-exit needs an exit code from 0 to 255, not", text);
        return;
    }
    options->becomes_zero[code / 32] |= 1u << (code % 32);
}

static void read_seconds(struct options *options, const char *text, int64_t *milliseconds, const char *problem)
{
    if (!number_parse_seconds(text, milliseconds))
        wrong(options, problem, text);
}

static void read_death_signal(struct options *options, const char *text)
{
    int number = number_parse_signal(text);
    if (number <= 0)
        wrong(options, "--parent-death-signal needs a signal, not", text);
    else
        options->parent_death_signal = number;
}

static bool read_flag(struct options *options, const char *argument)
{
    const struct {
        const char *name;
        bool *flag;
        bool configures;
    } flags[] = {
        {"--no-group", &options->no_group, false},
        {"--subreaper", &options->subreaper, false},
        {"--warn-on-reap", &options->warn_on_reap, false},
        {"--verbose", &options->verbose, false},
        {"--help", &options->help, false},
        {"--version", &options->version, false},
        {"--upgrade", NULL, true},
        {"--daemon", &options->daemon, true},
        {"--test", &options->check, true},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(argument, flags[i].name) != 0)
            continue;
        if (flags[i].flag != NULL)
            *flags[i].flag = true;
        if (flags[i].configures)
            options->configured = true;
        return true;
    }
    return false;
}

static void read_long(struct reader *reader)
{
    struct options *options = reader->options;
    const char *argument = reader->argv[reader->at];
    const char *value;
    if (read_flag(options, argument))
        return;
    if (value_of(reader, "--conf") != NULL)
        options->configured = true;
    else if ((value = value_of(reader, "--rewrite")) != NULL)
        read_rewrite(options, value);
    else if ((value = value_of(reader, "--remap-exit")) != NULL)
        read_remap(options, value);
    else if ((value = value_of(reader, "--parent-death-signal")) != NULL)
        read_death_signal(options, value);
    else if ((value = value_of(reader, "--stop-delay")) != NULL)
        read_seconds(options, value, &options->stop_delay_ms, "--stop-delay needs seconds (2, 0.5), not");
    else if ((value = value_of(reader, "--reap-grace")) != NULL)
        read_seconds(options, value, &options->reap_grace_ms, "--reap-grace needs seconds (2, 0.5), not");
    else
        wrong(options, "unknown option", argument);
}

/* "-c FILE", "-cFILE", "-c=FILE", "-dtc FILE" */
static void read_short(struct reader *reader)
{
    struct options *options = reader->options;
    const char *argument = reader->argv[reader->at];
    for (const char *letter = argument + 1; *letter != '\0'; letter++) {
        switch (*letter) {
        case 'c':
            options->configured = true;
            if (letter[1] == '\0' && reader->at + 1 >= reader->argc)
                wrong(options, "needs a value:", argument);
            else if (letter[1] == '\0')
                reader->at++;
            return;
        case 'd':
            options->daemon = options->configured = true;
            break;
        case 't':
            options->check = options->configured = true;
            break;
        case 'u':
            options->configured = true;
            break;
        case 'h':
            options->help = true;
            break;
        case 'V':
            options->version = true;
            break;
        default:
            wrong(options, "unknown option", argument);
            return;
        }
    }
}

void options_parse(int argc, char *const argv[], int first, struct options *options)
{
    memset(options, 0, sizeof *options);
    memset(options->rewrite, AS_RECEIVED, sizeof options->rewrite);
    options->reap_grace_ms = DEFAULT_REAP_GRACE_MS;
    struct reader reader = {.argc = argc, .argv = argv, .at = first, .options = options};
    for (; reader.at < argc; reader.at++) {
        const char *argument = argv[reader.at];
        if (strcmp(argument, "--") == 0) {
            options->after_dashes = true;
            reader.at++;
            break;
        }
        if (argument[0] != '-' || argument[1] == '\0')
            break;
        if (argument[1] == '-')
            read_long(&reader);
        else
            read_short(&reader);
    }
    options->first_word = reader.at;
}
