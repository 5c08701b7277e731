#define _GNU_SOURCE
#include "watch.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "early.h"
#include "line.h"
#include "report.h"
#include "say.h"

static int epoll, signals;
static struct {
    bool is_on;
    int channel;
    uint32_t events;
} watched[LINE_MOST];

bool watch_init(void)
{
    static const signal_set all = ~(signal_set)0;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WATCH_SIGNALS};
    signals = (int)syscall(SYS_signalfd4, -1, &all, sizeof all, SFD_CLOEXEC | SFD_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (signals >= 0 && epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event) == 0)
        return true;
    say("cannot begin: %s", strerror(errno));
    return false;
}

int watch_signals(void)
{
    return signals;
}

static void watch(enum watch_source source, int slot, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = source | (uint64_t)slot << 8};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void watch_child(int slot, int start_pipe)
{
    watch(WATCH_CHILD, slot, start_pipe);
}

void watch_successor(struct line *line)
{
    watch(WATCH_SUCCESSOR, line_slot(line), line->supervisor.start_pipe);
}

void watch_end(int pipe)
{
    epoll_ctl(epoll, EPOLL_CTL_DEL, pipe, NULL);
}

void watch_checker(int pipe, bool on)
{
    if (on)
        watch(WATCH_CHECKER, 0, pipe);
    else
        watch_end(pipe);
}

void watch_channel(struct line *line, bool wants_room)
{
    int slot = line_slot(line), fd = line->channel;
    uint32_t events = (report_is_busy(line) ? 0u : (uint32_t)EPOLLIN) | (wants_room ? (uint32_t)EPOLLOUT : 0u);
    struct epoll_event event = {.events = events, .data.u64 = WATCH_CHANNEL | (uint64_t)slot << 8};
    if (fd < 0 || (watched[slot].is_on && events == watched[slot].events))
        return;
    epoll_ctl(epoll, watched[slot].is_on ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    watched[slot].is_on = true;
    watched[slot].channel = fd;
    watched[slot].events = events;
}

void watch_end_channel(const struct line *line)
{
    int slot = line_slot(line);
    if (watched[slot].is_on)
        epoll_ctl(epoll, EPOLL_CTL_DEL, watched[slot].channel, NULL);
    watched[slot].is_on = false;
}

int watch_wait(int timeout, struct watch_event events[WATCH_MOST_EVENTS])
{
    struct epoll_event found[WATCH_MOST_EVENTS];
    int count = epoll_wait(epoll, found, WATCH_MOST_EVENTS, timeout);
    for (int i = 0; i < count; i++) {
        events[i].source = (enum watch_source)(found[i].data.u64 & 0xff);
        events[i].slot = (int)(found[i].data.u64 >> 8);
    }
    return count;
}
