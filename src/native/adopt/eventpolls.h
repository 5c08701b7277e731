/*
 * A program's epoll sets. They hold the socket itself, not the number: with another one in its place it would go on being reported, and could
 * not be taken out any more.
 */
#pragma once

#include <stdbool.h>

/* If `set` is an epoll set that has `fd`: takes it out, and remembers how it was in there. False: it is no epoll set. */
bool eventpolls_take_out(int set, int fd);
/* The sockets that are now at these numbers, as the others were. */
void eventpolls_put_back(void);
