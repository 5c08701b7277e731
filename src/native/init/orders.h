#ifndef PINGORA_ENTRY_ORDERS_H
#define PINGORA_ENTRY_ORDERS_H

#include <stdint.h>

#include "channel.h"

struct line;

/* Called with each child that was forked, and each successor: their start pipes are to be watched. */
struct orders_watch {
    void (*child)(int slot, int fd);
    void (*successor)(struct line *line);
};

void orders_init(struct orders_watch watch);

/* Does what one message from the supervisor of `line` asks for, and answers it. Takes from its descriptors what it keeps. */
void orders_obey(struct line *line, struct message *message, int64_t now);

#endif
