/* The command line: whatever the words, every result is in its range, and a mistake names one of the words. */
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum { MOST_WORDS = 64 };

static bool is_within(const char *wrong, int argc, char *const argv[])
{
    for (int i = 0; i < argc; i++)
        if (wrong >= argv[i] && wrong <= argv[i] + strlen(argv[i]))
            return true;
    return wrong[0] == '\0'; /* a value that is missing */
}

static void check(const struct options *options, int argc, char *const argv[])
{
    if (options->first_word < 1 || options->first_word > argc)
        abort();
    if ((options->problem == NULL) != (options->wrong == NULL))
        abort();
    if (options->problem != NULL && !is_within(options->wrong, argc, argv))
        abort();
    for (int number = 0; number < SIGNAL_COUNT; number++)
        if (options->rewrite[number] < AS_RECEIVED || options->rewrite[number] >= SIGNAL_COUNT)
            abort();
    if (options->rewrite[0] != AS_RECEIVED || options->parent_death_signal < 0 || options->parent_death_signal >= SIGNAL_COUNT)
        abort();
    if (options->stop_delay_ms < 0 || options->reap_grace_ms < 0)
        abort();
    if ((options->daemon || options->check) && !options->configured)
        abort();
}

/* Words separated by NUL, each in memory of its exact size, so that a read beyond is seen. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char *argv[MOST_WORDS + 2] = {"pingora-entry"};
    int argc = 1;
    for (size_t at = 0; at < size && argc <= MOST_WORDS;) {
        const unsigned char *end = memchr(data + at, '\0', size - at);
        size_t length = end == NULL ? size - at : (size_t)(end - (data + at));
        argv[argc] = malloc(length + 1);
        memcpy(argv[argc], data + at, length);
        argv[argc++][length] = '\0';
        at += length + 1;
    }
    struct options options, again;
    options_parse(argc, argv, 1, &options);
    check(&options, argc, argv);
    options_parse(argc, argv, 1, &again);
    if (memcmp(options.rewrite, again.rewrite, sizeof options.rewrite) != 0 || options.first_word != again.first_word)
        abort();
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return 0;
}
