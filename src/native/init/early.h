#ifndef PINGORA_ENTRY_EARLY_H
#define PINGORA_ENTRY_EARLY_H

#include <stdint.h>

/*
 * Signal sets here are the kernel's: bit n-1 is signal n, 64 of them. The C library's sigset_t leaves two out and is longer.
 */
typedef uint64_t signal_set;

#define SIGNAL_BIT(number) ((signal_set)1 << ((number)-1))

struct state;

/* Blocks every signal, unless the entry stub has done so before the C library began. */
void early_block(void);

/* The mask that this process was given by who executed it. */
signal_set early_given_mask(void);

/* Gives the calling process `mask`. */
void early_set_mask(signal_set mask);

/* What an init that replaces this one is to know (state.h). */
void early_visit(struct state *state);

#endif
