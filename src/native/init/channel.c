#define _GNU_SOURCE
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char buffer[FRAME_DIRECT_BYTES + 4096];

/* The frame that the first descriptor holds. It must not change while we read it: sealed. */
static const char *map_memory(struct message *message)
{
    enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
    struct stat status;
    if (message->fd_count == 0)
        return "no memfd came with it";
    int fd = message->fds[0];
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS)
        return "its memfd is not sealed";
    if (fstat(fd, &status) < 0 || status.st_size <= 0 || status.st_size > FRAME_MOST_BYTES)
        return "its memfd is empty or larger than 8 MiB";
    void *mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED)
        return "its memfd cannot be mapped";
    message->mapping = mapping;
    message->bytes = mapping;
    message->length = (size_t)status.st_size;
    close(fd);
    message->fd_count--;
    memmove(&message->fds[0], &message->fds[1], message->fd_count * sizeof message->fds[0]);
    return NULL;
}

static void take_fds(struct message *message, struct msghdr *header)
{
    /* the kernel puts all descriptors of a datagram into one part, and no other part was asked for */
    struct cmsghdr *part = CMSG_FIRSTHDR(header);
    if (part == NULL || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
        return;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        if (message->fd_count < FRAME_MOST_FDS + 1)
            message->fds[message->fd_count++] = fd;
        else
            close(fd);
    }
}

/* Why the kernel has left out descriptors; those that it did not are open still. */
static const char *why_lost(int channel, const struct message *message)
{
    static char text[128];
    struct rlimit limit;
    if (message->fd_count > FRAME_MOST_FDS)
        return "more than 64 descriptors came with it";
    int one_more = fcntl(channel, F_DUPFD_CLOEXEC, 0);
    if (one_more >= 0)
        close(one_more);
    if (one_more >= 0 || errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return "the kernel did not pass all of its descriptors";
    snprintf(text, sizeof text, "it may open no more files: its limit nofile is %llu; raise the container's hard limit",
             (unsigned long long)limit.rlim_cur);
    return text;
}

/* Nothing was read: the other end is gone, or it sent an empty datagram. */
static bool is_hung_up(int channel)
{
    struct pollfd look = {.fd = channel, .events = POLLRDHUP};
    return poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

enum channel_received channel_receive(int channel, struct message *message)
{
    char control[CMSG_SPACE(sizeof(int) * (FRAME_MOST_FDS + 1))] __attribute__((aligned(8)));
    struct iovec piece = {.iov_base = buffer, .iov_len = sizeof buffer};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    memset(message, 0, sizeof *message);
    ssize_t length;
    do
        length = recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    /* ECONNRESET is told once, before what the other end had sent: it closed without reading all of ours */
    while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    if (length < 0)
        return errno == EAGAIN ? CHANNEL_NOTHING : CHANNEL_CLOSED;
    take_fds(message, &header);
    message->bytes = buffer;
    message->length = (size_t)length;
    if (length == 0 && message->fd_count == 0 && is_hung_up(channel))
        return CHANNEL_CLOSED;
    if (header.msg_flags & MSG_CTRUNC)
        message->lost = why_lost(channel, message);
    if (header.msg_flags & MSG_TRUNC)
        message->problem = "it is longer than 60000 bytes and not in a memfd";
    /* the kernel leaves out the last ones: when the first, the memfd, is there, so is the frame */
    else if (length == 2 && buffer[0] == '*' && buffer[1] == '\0' && (message->lost == NULL || message->fd_count > 0))
        message->problem = map_memory(message);
    return CHANNEL_MESSAGE;
}

void message_close(struct message *message)
{
    for (size_t i = 0; i < message->fd_count; i++)
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    if (message->mapping != NULL)
        munmap(message->mapping, message->length);
}

enum channel_sent channel_send(int channel, const struct frame_text *text, int fd)
{
    char control[CMSG_SPACE(sizeof fd)] __attribute__((aligned(8)));
    struct iovec piece = {.iov_base = (void *)text->bytes, .iov_len = text->length};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
    if (channel < 0)
        return CHANNEL_GONE;
    if (fd >= 0) {
        memset(control, 0, sizeof control);
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(channel, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return CHANNEL_SENT;
    if (errno == EAGAIN)
        return CHANNEL_FULL;
    return errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS ? CHANNEL_SHORT : CHANNEL_GONE;
}
