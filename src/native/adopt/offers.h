/*
 * The sockets that a program is offered: PINGORA_ENTRY_ADOPT=FD:FAMILY:TYPE:ADDRESS;...
 *   230:inet6:stream:[::]:8080;231:unix:stream:/run/app.sock
 * The port is what stands behind the last colon; in a path, %3A and the like stand for what would be taken apart.
 * A socket for a trial has an address of its own, and stands in for another one: "=" and that one, its host as hexadecimal digits.
 *   230:inet:stream:=00000000:8080;231:unix:stream:=/run/app.sock
 */
#pragma once

#include <stdbool.h>

#include "kernel.h"

/* a configuration with more for one service is refused: src/adapters/config/compile/service.ts */
enum { MOST_OFFERS = 1024 };

struct offer {
    int fd; /* where it is kept; -1: this process has it no more */
    uint16_t family, type;
    uint16_t port;  /* host order; 0 for a unix socket */
    char path[108]; /* empty for the others */
    bool stands_in; /* port, path and `instead` are those of another socket */
    struct address instead;
    /* from here on what the kernel says, filled in by kept.c */
    struct address address;
    bool ipv6_only;
    uint64_t cookie;  /* tells the socket, whatever its number is */
    uint64_t drained; /* cookie of the private one that took its place; 0: none did */
    /* how this program wants it, since its bind(), or since it said whether it blocks */
    bool bound, blocking;
    uint16_t wanted_family;
};

/* What cannot be understood is left out. Returns how many there are, at most `most`. */
size_t offers_read(const char *text, struct offer *offers, size_t most);

/* Whether a program that binds a socket of this family and type to `wanted` means `offer`, or what that stands in for. `ipv6_only`: of the program's socket. */
bool offer_fits(const struct offer *offer, unsigned family, unsigned type, bool ipv6_only, const struct address *wanted, size_t length);
