/* The offers of this process, and what the kernel says of its descriptors. */
#pragma once

#include <stdbool.h>

#include "offers.h"

struct kept {
    struct offer offers[MOST_OFFERS];
    size_t count;
    int lowest, highest; /* fd numbers: most calls are about others, and are told so by these */
    bool has_paths, has_bound, has_translated;
    int drain_signal;
    /* as they came, for a program that is started with an environment that lacks them */
    char variable[65536], drain_variable[64], library[512];
};

extern struct kept kept;

/* Reads the environment, once. Each function that stands in for one of libc's calls it first: another library's constructor may be earlier. */
void kept_begin(void);

uint64_t socket_cookie(int fd);
int socket_option(int fd, int level, int option);
/* The offer that is kept at `fd`, or NULL. A program that put something else at that number has taken it away. */
struct offer *kept_at(int fd);
/* The offer whose socket, or whose drained stand-in, is at `fd`, whatever number that is; NULL. */
struct offer *kept_socket(int fd);
/* Whether the file is that of the offered unix socket, or of the one that it stands in for. */
bool offer_has_path(const struct offer *offer, int directory, const char *path);
/* For a program about to be executed: what is kept stays open. */
void kept_survive(void);
