/* The few functions on text that are needed, without a libc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t text_length(const char *text);
bool text_equal(const char *a, const char *b);
bool bytes_equal(const void *a, const void *b, size_t length);
void bytes_copy(void *to, const void *from, size_t length);
/* What follows `start` in `text`; NULL when it does not begin so. */
const char *text_after(const char *text, const char *start);
/* Writes `number` in decimal and a NUL; `to` has room for 21 bytes. Returns the length. */
size_t text_number(char *to, uint64_t number);
