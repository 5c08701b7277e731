#ifndef PINGORA_ENTRY_REQUEST_H
#define PINGORA_ENTRY_REQUEST_H

#include <stdbool.h>

/* The subcommands that this binary answers by one request over the control socket: prestop, healthcheck, phase. */
bool request_is_for(const char *subcommand);

/* Runs one; returns the exit code: 0 for 2xx, 1 for another status, 69 when nobody answers, 64. */
int request(const char *subcommand, char *const arguments[], char *const environment[]);

/* The control socket, unless an option names another. */
const char *request_socket(char *const environment[]);

#endif
