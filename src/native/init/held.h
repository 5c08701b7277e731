#ifndef PINGORA_ENTRY_HELD_H
#define PINGORA_ENTRY_HELD_H

#include <stdbool.h>

/* Descriptors kept for a later supervisor, by name: sockets and pipes (HOLD), and memfds with its state (STATE). */
enum held_kind { HELD_SOCKET, HELD_STATE };

enum { HELD_MOST = 8192, HELD_LONGEST_NAME = 255 };

struct held {
    int fd; /* -1: this slot is free */
    enum held_kind kind;
    const char *name;
};

/* Takes `fd` over; one of that name is closed. False when the table is full: `fd` is still the caller's. */
bool held_put(enum held_kind kind, const char *name, int fd);

/* Closes what has that name; nothing happens when nothing has. */
void held_drop(enum held_kind kind, const char *name);

/* Slots 0 to held_end()-1, to walk over. */
int held_end(void);
struct held held_at(int slot);

#endif
