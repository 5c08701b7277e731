#ifndef PINGORA_ENTRY_ORDERS_H
#define PINGORA_ENTRY_ORDERS_H

#include <stdint.h>

#include "channel.h"

/* Called with the slot and the start pipe of each child that was forked. */
void orders_init(void (*watch_start)(int slot, int fd));

/* Does what one message asks for, on behalf of the `supervisor`-th supervisor, and answers it. Takes from its descriptors what it keeps. */
void orders_obey(struct message *message, unsigned supervisor, int64_t now);

#endif
