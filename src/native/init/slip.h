#ifndef PINGORA_ENTRY_SLIP_H
#define PINGORA_ENTRY_SLIP_H

#include <stdbool.h>

/* One letter too many, missing, another, or two neighbours swapped lie between the words; the same word is none. */
bool one_slip_apart(const char *a, const char *b);

#endif
