#ifndef PINGORA_ENTRY_CHANNEL_H
#define PINGORA_ENTRY_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

/* One datagram, with the frame from its memfd if it was in one. */
struct message {
    const char *bytes;
    size_t length;
    const char *problem; /* it was received, but not as it was sent: why */
    const char *lost;    /* its bytes are as they were sent, but some of its descriptors are missing: why */
    size_t fd_count;
    int fds[FRAME_MOST_FDS + 1]; /* -1 where taken; the rest is closed by message_close */
    void *mapping;
};

enum channel_received { CHANNEL_MESSAGE, CHANNEL_NOTHING, CHANNEL_CLOSED };
enum channel_sent { CHANNEL_SENT, CHANNEL_FULL, CHANNEL_SHORT, CHANNEL_GONE };

/* Its bytes are overwritten by the next one, of whatever channel. */
enum channel_received channel_receive(int channel, struct message *message);
void message_close(struct message *message);

/*
 * Sends `text` over `channel` (-1: closed), with a duplicate of `fd` unless that is -1. FULL: when the socket is writable again. SHORT: the
 * kernel lacks something that no poll reports (memory, descriptors under way): later.
 */
enum channel_sent channel_send(int channel, const struct frame_text *text, int fd);

#endif
