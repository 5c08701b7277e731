/* What /proc/PID/fdinfo/N says of one descriptor in an epoll set: "tfd:        5 events:       19 data:         1f4  pos:0 ino:4 sdev:5". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fdinfo {
    int wanted;
    bool found;
    uint32_t events;
    uint64_t data;
    char line[256];
    size_t length; /* of the line so far; what does not fit is left out */
};

void fdinfo_begin(struct fdinfo *info, int wanted);
/* In pieces of any size, until found. */
void fdinfo_feed(struct fdinfo *info, const char *bytes, size_t length);
