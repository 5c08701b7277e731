#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "early.h"
#include "execute.h"
#include "give_way.h"
#include "node.h"
#include "options.h"
#include "print.h"
#include "replace.h"
#include "request.h"
#include "say.h"
#include "service_link.h"
#include "slip.h"
#include "supervise.h"
#include "upgrade.h"
#include "version.h"
#include "wrap.h"

static const char default_config[] = "/etc/pingora-entry/config.yaml";
static const char prefix[] = "PINGORA_ENTRY_";

/* answered by Node with the CLI bundle */
static const char *const subcommands[] = {
    "check",  "graph",  "status",  "logs",       "signal",  "start", "stop", "restart",
    "reload", "upgrade", "rollout", "completion", "version", "help",  NULL,
};

static const char short_help[] = "usage: pingora-entry [options] [--] CMD [ARGS...]    run one command as PID 1 should\n"
                                 "       pingora-entry [run] [-c FILE]... [options] [-- CMD [ARGS...]]    run what is configured\n"
                                 "       pingora-entry healthcheck [--live|--ready|--startup] [--socket PATH] [--timeout SECONDS]\n"
                                 "       pingora-entry prestop [--timeout SECONDS]\n"
                                 "       pingora-entry phase\n"
                                 "\n"
                                 "options when running one command\n"
                                 "  --no-group                  signal the command only, not its process group\n"
                                 "  --rewrite FROM:TO           send TO when FROM is received, nothing for TO 0 (repeatable)\n"
                                 "  --stop-delay SECONDS        wait between receiving SIGTERM and forwarding it\n"
                                 "  --reap-grace SECONDS        what the command leaves behind has this long between TERM and KILL (2)\n"
                                 "  --remap-exit CODE           this exit code becomes 0 (repeatable)\n"
                                 "  --parent-death-signal SIG   for the command when this program dies, for this program when its parent does\n"
                                 "  --subreaper                 say so when this program cannot adopt orphans (it tries anyway)\n"
                                 "  --warn-on-reap              say so when an orphan was reaped\n"
                                 "  --verbose\n"
                                 "\n"
                                 "A program named as a subcommand is run after --. More with Node beside: pingora-entry help\n";

static bool is_subcommand(const char *word)
{
    for (size_t i = 0; subcommands[i] != NULL; i++)
        if (strcmp(word, subcommands[i]) == 0)
            return true;
    return false;
}

/* The subcommand that was probably meant by a word that is no program; NULL: none is near, or the word is one to run. */
static const char *meant_subcommand(const char *word, char *const environment[])
{
    static const char *const others[] = {"run", "prestop", "healthcheck", "phase", NULL};
    char path[PATH_MAX];
    if (strchr(word, '/') != NULL || execute_find(word, environment, path, sizeof path) != NULL)
        return NULL;
    for (size_t i = 0; subcommands[i] != NULL; i++)
        if (one_slip_apart(word, subcommands[i]))
            return subcommands[i];
    for (size_t i = 0; others[i] != NULL; i++)
        if (one_slip_apart(word, others[i]))
            return others[i];
    return NULL;
}

/*
 * A variable that is the supervisor's to read. What the init itself reads, or is set for services (a command of one may begin with this
 * program, too), configures nothing; nor does what Kubernetes adds for a Service whose name begins with "pingora-entry".
 */
static bool environment_configures(char *const environment[])
{
    static const char *const own[] = {"HOME=",     "CHANNEL=", "ID=",          "VERBOSE=",   "SERVICE=",
                                      "INSTANCE=", "ADOPT=",   "ADOPT_DRAIN=", "PREFLIGHT=", "ADMIN_SOCKET="};
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], prefix, sizeof prefix - 1) != 0)
            continue;
        const char *name = environment[i] + sizeof prefix - 1;
        bool is_own = service_link_is(environment[i]);
        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++)
            is_own = is_own || strncmp(name, own[j], strlen(own[j])) == 0;
        if (!is_own)
            return true;
    }
    return false;
}

/* What may not be looked at counts: the supervisor says why. */
static bool default_exists(void)
{
    return access(default_config, F_OK) == 0 || errno != ENOENT;
}

static int become_node(const char *subcommand, char *const rest[], char *const environment[])
{
    struct node node;
    if (!node_find(environment, false, &node))
        return EXIT_NOT_FOUND;
    char **arguments = node_arguments(&node, subcommand, rest);
    if (arguments == NULL)
        return EXIT_SYSTEM;
    give_way();
    early_set_mask(early_given_mask());
    execute(arguments, environment);
    return execute_explain(node.program, errno, environment);
}

/* subcommand: the one to tell of, NULL for all of them */
static int help(char *subcommand, char *const environment[])
{
    struct node node;
    char *const about[] = {subcommand, NULL};
    if (node_find(environment, true, &node))
        return become_node("help", about, environment);
    return print(short_help);
}

static int version(char *const rest[], char *const environment[])
{
    struct node node;
    if (node_find(environment, true, &node))
        return become_node("version", rest, environment);
    return print("pingora-entry " PINGORA_ENTRY_VERSION "\n");
}

/* `rest` stands behind a word that nobody needs any more. */
static int upgrade_or_node(char *rest[], char *const environment[])
{
    static char asked[UPGRADE_ASKED_SIZE];
    int code = upgrade(rest, environment, asked);
    if (code != UPGRADE_NEEDS_NODE)
        return code;
    if (asked[0] != '\0')
        *--rest = asked;
    return become_node("upgrade", rest, environment);
}

static int subcommand(const char *name, char *rest[], char *const environment[])
{
    if (request_is_for(name)) {
        early_set_mask(early_given_mask());
        return request(name, rest, environment);
    }
    if (strcmp(name, "upgrade") == 0)
        return upgrade_or_node(rest, environment);
    if (strcmp(name, "help") == 0 && rest[0] == NULL)
        return help(NULL, environment);
    if (strcmp(name, "version") == 0)
        return version(rest, environment);
    return become_node(name, rest, environment);
}

/* The same options, without those that make no sense for looking only. */
static int check(char *argv[], char *const environment[])
{
    size_t kept = 1;
    for (size_t i = 1; argv[i] != NULL; i++) {
        const char *word = argv[i];
        if (strcmp(word, "-t") != 0 && strcmp(word, "--test") != 0 && strcmp(word, "-d") != 0 && strcmp(word, "--daemon") != 0)
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return become_node("check", argv + 1, environment);
}

/*
 * What is opened next must not become stdin, stdout or stderr: a line of ours would go to the control socket, and the channel would be
 * the stderr of every service. A command that is wrapped gets them closed, as they were.
 */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
            return;
}

/* Services and their supervisor are not asked whether they can do without. */
static void pass_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        fcntl(fd, F_SETFD, 0);
}

static int run(char *argv[], const struct options *options, char *const environment[])
{
    pass_standard();
    return options->check ? check(argv, environment) : supervise(options, argv + 1, environment);
}

/* Returns how many are left. */
static int take_out(int argc, char *argv[], int index)
{
    memmove(argv + index, argv + index + 1, (size_t)(argc - index) * sizeof *argv);
    return argc - 1;
}

/* Obeyed already; a subcommand knows no such option. */
static void take_out_verbose(int argc, char *argv[], int end)
{
    for (int i = end - 1; i > 0; i--)
        if (strcmp(argv[i], "--verbose") == 0)
            argc = take_out(argc, argv, i);
}

static int wrong_usage(const struct options *options)
{
    if (options->problem != NULL)
        say("%s \"%s\"; see pingora-entry --help", options->problem, options->wrong);
    else
        say("nothing to run: no CMD was given, and nothing is configured (no -c FILE, no %s, no %s... variable); see pingora-entry --help",
            default_config, prefix);
    return EXIT_WRONG_USAGE;
}

int main(int argc, char *argv[], char *environment[])
{
    early_block();
    open_standard();
    if (argc > 1 && strcmp(argv[1], "--spawner") == 0) {
        pass_standard();
        return supervise_as_spawner(environment);
    }
    if (argc == 3 && strcmp(argv[1], "--resume") == 0)
        return supervise_resume(argv[2], environment);
    if (argc == 2 && strcmp(argv[1], "--state-version") == 0)
        return replace_answer();

    struct options options;
    options_parse(argc, argv, 1, &options);
    const char *verbose = execute_variable(environment, "PINGORA_ENTRY_VERBOSE");
    say_be_verbose(options.verbose || (verbose != NULL && verbose[0] != '\0' && strcmp(verbose, "0") != 0));

    if (options.first_word < argc && !options.after_dashes) {
        const char *word = argv[options.first_word];
        bool is_run = strcmp(word, "run") == 0;
        if (is_run || request_is_for(word) || is_subcommand(word)) {
            /* options may stand before the subcommand or after it */
            argc = take_out(argc, argv, options.first_word);
            if (!is_run) {
                take_out_verbose(argc, argv, options.first_word);
                return subcommand(word, argv + 1, environment);
            }
            options_parse(argc, argv, 1, &options);
            return options.help ? help("run", environment) : run(argv, &options, environment);
        }
    }
    if (options.help)
        return help(NULL, environment);
    if (options.version) {
        char *const nothing[] = {NULL};
        return version(nothing, environment);
    }
    if (options.configured || environment_configures(environment) || default_exists())
        return run(argv, &options, environment);
    if (options.problem != NULL || options.first_word >= argc)
        return wrong_usage(&options);
    const char *meant = options.after_dashes ? NULL : meant_subcommand(argv[options.first_word], environment);
    if (meant != NULL) {
        say("cannot run \"%s\": not found in PATH; did you mean the subcommand \"%s\"?", argv[options.first_word], meant);
        return EXIT_NOT_FOUND;
    }
    return wrap(&options, argv + options.first_word, environment);
}
