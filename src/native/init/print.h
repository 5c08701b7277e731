#ifndef PINGORA_ENTRY_PRINT_H
#define PINGORA_ENTRY_PRINT_H

/* Writes `text` to stdout; returns the exit code: 0, or that of print_failed(). */
int print(const char *text);

/* Says why (errno) stdout cannot be written; returns EXIT_SYSTEM. */
int print_failed(void);

#endif
