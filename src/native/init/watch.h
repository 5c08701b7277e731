#ifndef PINGORA_ENTRY_WATCH_H
#define PINGORA_ENTRY_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

struct line;

/* What the init waits for: signals, the channels, and pipes that tell how a program started. */
enum watch_source { WATCH_SIGNALS, WATCH_CHANNEL, WATCH_CHILD, WATCH_SUCCESSOR, WATCH_CHECKER };

enum { WATCH_MOST_EVENTS = 32 };

struct watch_event {
    enum watch_source source;
    int slot; /* of the line or the child; it may be another one's by now, and has nothing to be read then */
};

/* Signals are watched from here on. False, and said, when the kernel refuses. */
bool watch_init(void);
/* The signalfd. */
int watch_signals(void);

void watch_child(int slot, int start_pipe);
void watch_successor(struct line *line);
void watch_checker(int pipe, bool on);
/* Before a pipe is closed: a child forked meanwhile has a copy until it executes, and that would keep it watched. */
void watch_end(int pipe);

/* While an answer waits for room no order is read, and a level that nobody lowers would keep us awake. */
void watch_channel(struct line *line, bool wants_room);
/* Before it is closed, as above. */
void watch_end_channel(const struct line *line);

/* Waits at most so many milliseconds, -1: for ever. Returns how many there are. */
int watch_wait(int timeout, struct watch_event events[WATCH_MOST_EVENTS]);

#endif
