#ifndef PINGORA_ENTRY_SNAPSHOT_H
#define PINGORA_ENTRY_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>

/* All tables of an init as the records of state.h, for the init that replaces it. */

/* A memfd with them, CLOEXEC; -1: errno. */
int snapshot_make(void);

/* Fills the tables, which are empty. NULL when all is well, else what is wrong. Touches no descriptor and no process. */
const char *snapshot_read(const char *bytes, size_t length);

/* The same of a file. */
const char *snapshot_read_file(int fd);

/* The next exec leaves all descriptors open that the records name. False: errno. */
bool snapshot_let_through(void);

#endif
