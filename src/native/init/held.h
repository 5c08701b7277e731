#ifndef PINGORA_ENTRY_HELD_H
#define PINGORA_ENTRY_HELD_H

#include <stdbool.h>

/*
 * Descriptors kept for a later supervisor of a line, by name: sockets and pipes (HOLD), and memfds with its state (STATE). Each line has a
 * table of its own; `line` is the line's slot.
 */
enum held_kind { HELD_SOCKET, HELD_STATE };

struct state;

enum { HELD_MOST = 8192, HELD_LONGEST_NAME = 255 };

struct held {
    int fd; /* -1: this slot is free */
    enum held_kind kind;
    const char *name;
};

/* Takes `fd` over; one of that name is closed. False when the table is full: `fd` is still the caller's. */
bool held_put(int line, enum held_kind kind, const char *name, int fd);

/* The descriptor of that name, which stays the table's; -1 when nothing has it. */
int held_fd(int line, enum held_kind kind, const char *name);

/* Closes what has that name; nothing happens when nothing has. */
void held_drop(int line, enum held_kind kind, const char *name);

/* Closes all: the line is over. */
void held_drop_all(int line);

/* Slots 0 to held_end(line)-1, to walk over. */
int held_end(int line);
struct held held_at(int line, int slot);

void held_visit(struct state *state, int line, int slot);
/* Takes a free slot, for held_visit to fill. False when it is not free. */
bool held_restore(int line, int slot);

#endif
