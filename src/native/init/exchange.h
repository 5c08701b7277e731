#ifndef PINGORA_ENTRY_EXCHANGE_H
#define PINGORA_ENTRY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

/* One HTTP request over a unix socket, and its answer. */
struct exchange {
    const char *socket;  /* its path */
    int64_t deadline;    /* number_now; INT64_MAX: none; `body` may change it */
    int interrupt;       /* a descriptor that ends every wait when it can be read; -1: none */
    bool stopped;        /* set by `body`: it wants no more */
    const char *problem; /* why the connection broke off */
    struct http http;
};

enum exchange_end {
    EXCHANGE_OVER, /* the answer is there, http.status says which */
    EXCHANGE_PATH_TOO_LONG,
    EXCHANGE_NO_CONNECTION, /* errno says why */
    EXCHANGE_LATE,
    EXCHANGE_BROKE_OFF,
    EXCHANGE_NOT_HTTP,
    EXCHANGE_INTERRUPTED,
    EXCHANGE_STOPPED,
};

/* Sends `text` and passes on what the answer's body brings, as it comes. An answer that is incomplete has broken off. */
enum exchange_end exchange(struct exchange *exchange, const char *text, size_t length,
                           void (*body)(const char *bytes, size_t length, void *context), void *context);

/*
 * Writes to a pipe or a file, within the same deadline: EXCHANGE_OVER, EXCHANGE_LATE when nobody reads, EXCHANGE_INTERRUPTED, or
 * EXCHANGE_BROKE_OFF and errno says why.
 */
enum exchange_end exchange_print(const struct exchange *exchange, int fd, const char *bytes, size_t length);

/* The longest path that a socket has, without its NUL. */
size_t exchange_longest_path(void);

#endif
