/* Waiting until a process waits, with no signal left that it has not seen. */
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "must.h"

static int sleeps(pid_t pid)
{
    char path[64], text[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    return strstr(text, "State:\tS") != NULL && strstr(text, "SigPnd:\t0000000000000000") && strstr(text, "ShdPnd:\t0000000000000000");
}

static void wait_until_asleep(pid_t pid)
{
    while (!sleeps(pid))
        usleep(1000);
}
