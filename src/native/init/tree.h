#ifndef PINGORA_ENTRY_TREE_H
#define PINGORA_ENTRY_TREE_H

#include <stdbool.h>
#include <sys/types.h>

struct line;

/*
 * Signals (0 only counts) the processes of a child, the dead ones not counted. Each returns how many there are.
 */

/* The child itself, while it is not reaped. */
int tree_signal_child(int slot, int number);

/* Its process group. */
int tree_signal_group(int slot, int number);

/* Its session, and every descendant of ours that carries its PINGORA_ENTRY_ID. */
int tree_signal(int slot, int number);

/*
 * Every process of a line, its supervisor and that one's descendants left out when `spare_supervisor`. Of the only line that lives that is
 * every descendant of ours. A TERM is followed by a CONT.
 */
int tree_signal_line(const struct line *line, bool spare_supervisor, int number);

#endif
