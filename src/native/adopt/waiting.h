/*
 * O_NONBLOCK belongs to the socket, not to the descriptor: all programs that share one, and the supervisor, share it, so that a program which
 * relies on it either way could be stopped or spun by another. An adopted socket is always non-blocking, and a program that believes its own to
 * block waits here. What fcntl() and ioctl() say of it is in blocking.c.
 */
#pragma once

#include <stdbool.h>

/*
 * After a call that failed: whether to try it again, having waited, or because our signal cut it. False: it ends with the error that is set.
 * drain_wait_begins() comes before each try.
 */
bool waited(int fd);
