#ifndef PINGORA_ENTRY_NUMBER_H
#define PINGORA_ENTRY_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The whole of `text` as a decimal number within the bounds; no sign but '-', no space, no empty text. */
bool number_parse(const char *text, int64_t least, int64_t most, int64_t *value);

/* "2", "0.5" (seconds) to milliseconds, at most a day. */
bool number_parse_seconds(const char *text, int64_t *milliseconds);

/* The signal that "TERM", "SIGTERM", "15" or "SIGRTMIN+3" name; 0 for "0"; -1 for none. */
int number_parse_signal(const char *text);

/* Digits of `value` with its NUL; returns their count. `digits` has room for 24. */
int number_print(int64_t value, char *digits);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t number_now(void);

#endif
