/* sendmsg and recvmsg with descriptors (SCM_RIGHTS) and credentials (SCM_CREDENTIALS). Never blocks. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Number of bytes taken, or undefined when it would block. */
static napi_value send_message(napi_env env, napi_callback_info info) {
    napi_value arguments[3];
    int fd, fds[MAX_FDS];
    size_t count, length;
    uint8_t *data;
    /* fds before bytes: reading an array may run JavaScript, which may detach the bytes */
    if (!read_arguments(env, info, 3, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_fds(env, arguments[2], fds, &count) || !read_bytes(env, arguments[1], "data", &data, &length))
        return NULL;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof fds)];
    } control;
    struct iovec part = {.iov_base = data, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return make_undefined(env);
    if (sent < 0) return throw_errno(env, "sendmsg", errno);
    return make_integer(env, sent);
}

struct received {
    int fds[MAX_FDS];
    size_t count;
    bool credited;
    struct ucred credentials;
};

static void read_control(struct msghdr *message, struct received *received) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        if (header->cmsg_type == SCM_CREDENTIALS && header->cmsg_len >= CMSG_LEN(sizeof received->credentials)) {
            memcpy(&received->credentials, CMSG_DATA(header), sizeof received->credentials);
            received->credited = true;
        } else if (header->cmsg_type == SCM_RIGHTS) {
            size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            if (count > MAX_FDS - received->count) count = MAX_FDS - received->count; /* cannot be: SCM_MAX_FD */
            memcpy(received->fds + received->count, CMSG_DATA(header), count * sizeof(int));
            received->count += count;
        }
    }
}

static bool set_received(napi_env env, napi_value result, const struct received *received) {
    napi_value fds, credentials;
    if (napi_create_array_with_length(env, received->count, &fds) != napi_ok) return false;
    for (size_t index = 0; index < received->count; index++) {
        napi_value fd = make_integer(env, received->fds[index]);
        if (!fd || napi_set_element(env, fds, (uint32_t)index, fd) != napi_ok) return false;
    }
    if (!set_property(env, result, "fds", fds)) return false;
    if (!received->credited) return true;
    return napi_create_object(env, &credentials) == napi_ok && set_integer(env, credentials, "pid", received->credentials.pid) &&
           set_integer(env, credentials, "uid", received->credentials.uid) &&
           set_integer(env, credentials, "gid", received->credentials.gid) &&
           set_property(env, result, "credentials", credentials);
}

/*
 * { length, fds, truncated, controlTruncated, credentials?, from }, or undefined when nothing is there. `length` 0 is the end of
 * a connection (or an empty datagram). Descriptors arrive CLOEXEC; the caller owns them, also those of a truncated message.
 */
static napi_value receive(napi_env env, napi_callback_info info, int flags) {
    napi_value arguments[2], result, from;
    int fd;
    size_t length;
    uint8_t *data;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_bytes(env, arguments[1], "buffer", &data, &length))
        return NULL;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct sockaddr_storage address;
    struct iovec part = {.iov_base = data, .iov_len = length};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = control.bytes, .msg_controllen = sizeof control};
    ssize_t count;
    do count = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return make_undefined(env);
    if (count < 0) return throw_errno(env, "recvmsg", errno);
    struct received received = {.count = 0, .credited = false};
    read_control(&message, &received);
    bool ok = napi_create_object(env, &result) == napi_ok && set_integer(env, result, "length", count) &&
              set_property(env, result, "truncated", make_boolean(env, message.msg_flags & MSG_TRUNC)) &&
              set_property(env, result, "controlTruncated", make_boolean(env, message.msg_flags & MSG_CTRUNC)) &&
              napi_create_object(env, &from) == napi_ok && set_address(env, from, &address, message.msg_namelen) &&
              set_property(env, result, "from", from) && set_received(env, result, &received);
    if (ok) return result;
    for (size_t index = 0; index < received.count; index++) close(received.fds[index]);
    return NULL;
}

static napi_value receive_message(napi_env env, napi_callback_info info) {
    return receive(env, info, 0);
}

/* The message stays where it is; its descriptors are copies of their own. */
static napi_value peek_message(napi_env env, napi_callback_info info) {
    return receive(env, info, MSG_PEEK);
}

bool register_messages(napi_env env, napi_value exports) {
    return set_function(env, exports, "sendmsg", send_message) && set_function(env, exports, "recvmsg", receive_message) &&
           set_function(env, exports, "peekmsg", peek_message);
}
