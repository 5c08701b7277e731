#ifndef PINGORA_ENTRY_TREE_H
#define PINGORA_ENTRY_TREE_H

#include <sys/types.h>

/*
 * Signals (0 only counts) the processes of a child, the dead ones not counted. Each returns how many there are.
 */

/* The child itself, while it is not reaped. */
int tree_signal_child(int slot, int number);

/* Its process group. */
int tree_signal_group(int slot, int number);

/* Its session, and every descendant of ours that carries its PINGORA_ENTRY_ID. */
int tree_signal(int slot, int number);

/* Every descendant of ours but `spared` (0: none) and its descendants. A TERM is followed by a CONT. */
int tree_signal_all(pid_t spared, int number);

#endif
