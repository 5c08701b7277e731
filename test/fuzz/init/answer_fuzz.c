/*
 * The answer to an order for an upgrade, line by line: whatever the bytes and the pieces, what is printed, the attempt's name and the exit
 * code are the same as in one piece.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "exchange.h"

static uint32_t printed;

static enum exchange_end print_counted(const struct exchange *exchange, int fd, const char *bytes, size_t length)
{
    (void)exchange;
    for (size_t i = 0; i < length; i++)
        printed = printed * 31 + (uint32_t)fd * 257 + (unsigned char)bytes[i];
    return EXCHANGE_OVER;
}

#define exchange_print print_counted
#include "upgrade.c"

/* what upgrade() needs beside, which is not called here */
enum exchange_end exchange(struct exchange *exchange, const char *text, size_t length,
                           void (*body)(const char *bytes, size_t length, void *context), void *context)
{
    (void)exchange, (void)text, (void)length, (void)body, (void)context;
    abort();
}
const char *request_socket(char *const environment[]) { (void)environment; abort(); }
const char *execute_variable(char *const environment[], const char *name) { (void)environment, (void)name; abort(); }
signal_set early_given_mask(void) { abort(); }
void early_set_mask(signal_set mask) { (void)mask; abort(); }
int print_failed(void) { abort(); }
void say(const char *format, ...) { (void)format; abort(); }

static struct order answered(const char *bytes, size_t length, size_t step)
{
    struct order order = {.code = -1, .exchange = {.http = {.status = 200}}};
    printed = 0;
    for (size_t at = 0; at < length; at += step) {
        /* a copy of its exact size, so that a read beyond is seen */
        size_t part = length - at < step ? length - at : step;
        char *piece = malloc(part);
        memcpy(piece, bytes + at, part);
        take(piece, part, &order);
        free(piece);
    }
    return order;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 1;
    struct order whole = answered(bytes, size - 1, size - 1);
    uint32_t all = printed;
    struct order pieces = answered(bytes, size - 1, data[0] % 17 + 1);
    if (all != printed || whole.code != pieces.code || strcmp(whole.attempt, pieces.attempt) != 0)
        abort();
    if (whole.code < -1 || whole.code > 255)
        abort();
    return 0;
}
