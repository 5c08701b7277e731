#define _GNU_SOURCE
#include "number.h"

#include <signal.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool number_parse(const char *text, int64_t least, int64_t most, int64_t *value)
{
    bool negative = text[0] == '-';
    const char *digit = text + (negative ? 1 : 0);
    if (*digit == '\0')
        return false;
    int64_t total = 0;
    for (; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        if (__builtin_mul_overflow(total, 10, &total) || __builtin_sub_overflow(total, *digit - '0', &total))
            return false;
    }
    /* summed up below zero, where there is one more */
    if (!negative && __builtin_sub_overflow((int64_t)0, total, &total))
        return false;
    if (total < least || total > most)
        return false;
    *value = total;
    return true;
}

bool number_parse_seconds(const char *text, int64_t *milliseconds)
{
    char whole[16] = "";
    const char *point = strchr(text, '.');
    size_t length = point == NULL ? strlen(text) : (size_t)(point - text);
    if (length == 0 || length >= sizeof whole || text[0] == '-')
        return false;
    memcpy(whole, text, length);
    int64_t seconds;
    if (!number_parse(whole, 0, 86400, &seconds))
        return false;
    int64_t total = seconds * 1000;
    if (point != NULL) {
        int64_t worth = 100;
        if (point[1] == '\0')
            return false;
        for (const char *digit = point + 1; *digit != '\0'; digit++, worth /= 10) {
            if (*digit < '0' || *digit > '9')
                return false;
            total += worth * (*digit - '0');
        }
    }
    *milliseconds = total;
    return true;
}

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},
    {"BUS", SIGBUS},       {"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT}, {"STOP", SIGSTOP},
    {"TSTP", SIGTSTP},     {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU}, {"URG", SIGURG},   {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"IO", SIGIO},     {"PWR", SIGPWR},   {"SYS", SIGSYS},   {"WINCH", SIGWINCH},
    {"IOT", SIGIOT},       {"POLL", SIGPOLL}, {"STKFLT", 16},
};

/* as the C libraries count them: the kernel's first two are theirs */
enum { FIRST_REAL_TIME = 34, LAST_SIGNAL = 64 };

int number_parse_signal(const char *text)
{
    int64_t number;
    if (number_parse(text, 0, LAST_SIGNAL, &number))
        return (int)number;
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (strcasecmp(signals[i].name, name) == 0)
            return signals[i].number;
    if (strcasecmp(name, "RTMIN") == 0)
        return FIRST_REAL_TIME;
    if (strcasecmp(name, "RTMAX") == 0)
        return LAST_SIGNAL;
    if (strncasecmp(name, "RTMIN+", 6) == 0 && number_parse(name + 6, 0, LAST_SIGNAL - FIRST_REAL_TIME, &number))
        return FIRST_REAL_TIME + (int)number;
    if (strncasecmp(name, "RTMAX-", 6) == 0 && number_parse(name + 6, 0, LAST_SIGNAL - FIRST_REAL_TIME, &number))
        return LAST_SIGNAL - (int)number;
    return -1;
}

int number_print(int64_t value, char *digits)
{
    char reversed[24];
    int count = 0, length = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[length++] = '-';
    while (count > 0)
        digits[length++] = reversed[--count];
    digits[length] = '\0';
    return length;
}

int64_t number_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
