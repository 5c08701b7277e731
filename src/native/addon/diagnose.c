/*
 * Which stream connections exist, as the kernel's socket diagnosis (NETLINK_SOCK_DIAG) tells: sock_diag(7).
 * Nothing is allocated: records go into the caller's bytes; what does not fit is counted.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { ESTABLISHED = 1, FIN_WAIT1 = 4, FIN_WAIT2 = 5, CLOSE_WAIT = 8, LISTENING = 10 };
enum { PORT_SET_BYTES = 65536 / 8, NAME_BYTES = 108 };

/* 48 bytes, in the machine's byte order; addresses as on the wire, an IPv4 one in the first 4 bytes */
struct tcp_record {
    uint32_t inode; /* 0: no process has it (yet): it waits in an accept queue, or was closed */
    uint32_t uid;
    uint16_t local_port, remote_port;
    uint8_t state, family, reserved[2];
    uint8_t local[16], remote[16];
};

/* 120 bytes; a queued connection has inode 0 */
struct unix_record {
    uint32_t inode, peer;
    uint8_t name_length, reserved[3];
    uint8_t name[NAME_BYTES];
};

struct output {
    uint8_t *bytes;
    size_t capacity; /* in records */
    size_t count;    /* found; more than the capacity when not all fitted */
};

static void put(struct output *output, const void *record, size_t size) {
    if (output->count < output->capacity) memcpy(output->bytes + output->count * size, record, size);
    output->count += 1;
}

struct dump {
    struct output output;
    const uint8_t *ports; /* the set of local ports that are asked for, as bits */
    bool interrupted;     /* the kernel's table changed meanwhile: entries may be missing or doubled */
    void (*take)(struct dump *dump, const struct nlmsghdr *header);
};

static void take_tcp(struct dump *dump, const struct nlmsghdr *header) {
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) return;
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    uint16_t port = ntohs(message->id.idiag_sport);
    if (!(dump->ports[port / 8] >> (port % 8) & 1)) return;
    struct tcp_record record = {
        .inode = message->idiag_inode,
        .uid = message->idiag_uid,
        .local_port = port,
        .remote_port = ntohs(message->id.idiag_dport),
        .state = message->idiag_state,
        .family = message->idiag_family == AF_INET6 ? 6 : 4,
    };
    memcpy(record.local, message->id.idiag_src, sizeof record.local);
    memcpy(record.remote, message->id.idiag_dst, sizeof record.remote);
    put(&dump->output, &record, sizeof record);
}

static void take_unix(struct dump *dump, const struct nlmsghdr *header) {
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) return;
    const struct unix_diag_msg *message = NLMSG_DATA(header);
    if (message->udiag_type != SOCK_STREAM && message->udiag_type != SOCK_SEQPACKET) return;
    struct unix_record record = {.inode = message->udiag_ino};
    const uint8_t *queued = NULL;
    size_t queue_length = 0;
    int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *message));
    const struct rtattr *attribute = (const struct rtattr *)(const void *)(message + 1);
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        size_t length = RTA_PAYLOAD(attribute);
        if (attribute->rta_type == UNIX_DIAG_NAME && length <= NAME_BYTES) {
            record.name_length = (uint8_t)length;
            memcpy(record.name, RTA_DATA(attribute), length);
        } else if (attribute->rta_type == UNIX_DIAG_PEER && length >= sizeof record.peer) {
            memcpy(&record.peer, RTA_DATA(attribute), sizeof record.peer);
        } else if (attribute->rta_type == UNIX_DIAG_ICONS) {
            queued = RTA_DATA(attribute);
            queue_length = length / sizeof record.peer;
        }
    }
    if (record.name_length == 0) return; /* a client's end */
    if (message->udiag_state == ESTABLISHED) {
        put(&dump->output, &record, sizeof record);
        return;
    }
    record.inode = 0;
    for (size_t index = 0; index < queue_length; index++) {
        memcpy(&record.peer, queued + index * sizeof record.peer, sizeof record.peer);
        put(&dump->output, &record, sizeof record);
    }
}

/* 0 at the end of the dump, -1 when more is to come, else an errno */
static int take_messages(struct dump *dump, const uint8_t *bytes, size_t length) {
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)bytes;
    unsigned int left = (unsigned int)length;
    for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_flags & NLM_F_DUMP_INTR) dump->interrupted = true;
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
            int error = 0;
            if (header->nlmsg_len >= NLMSG_LENGTH(sizeof error)) memcpy(&error, NLMSG_DATA(header), sizeof error);
            return error < 0 ? -error : 0;
        }
        if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY) dump->take(dump, header);
    }
    return -1;
}

static int run_dump(struct dump *dump, const void *request, size_t length) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return errno;
    /* the kernel answers within recv; a sandbox that takes the request and never answers must not hold us */
    struct timeval patience = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int status = -1;
    if (sendto(fd, request, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) status = errno;
    while (status == -1) {
        _Alignas(struct nlmsghdr) uint8_t bytes[32768];
        struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t received = recvmsg(fd, &message, 0);
        if (received < 0 && errno == EINTR) continue;
        if (received < 0) status = errno;
        else if (received == 0) status = EPROTO;
        else if (message.msg_flags & MSG_TRUNC) status = EMSGSIZE;
        else status = take_messages(dump, bytes, (size_t)received);
    }
    close(fd);
    return status;
}

static napi_value finish_dump(napi_env env, struct dump *dump, const void *request, size_t length) {
    int error = run_dump(dump, request, length);
    if (error) return throw_errno(env, "sock_diag", error);
    napi_value result;
    bool ok = napi_create_object(env, &result) == napi_ok && set_integer(env, result, "count", (int64_t)dump->output.count) &&
              set_property(env, result, "interrupted", make_boolean(env, dump->interrupted));
    return ok ? result : NULL;
}

/* (family 4 or 6, port or 0 for all of the set, set of ports as 8192 bytes, out) */
static napi_value diagnose_tcp(napi_env env, napi_callback_info info) {
    napi_value arguments[4];
    int64_t family, port;
    uint8_t *ports, *bytes;
    size_t set_size, size;
    if (!read_arguments(env, info, 4, arguments) || !read_integer(env, arguments[0], "family", 4, 6, &family) ||
        !read_integer(env, arguments[1], "port", 0, 65535, &port) ||
        !read_bytes(env, arguments[2], "ports", &ports, &set_size) || !read_bytes(env, arguments[3], "out", &bytes, &size))
        return NULL;
    if (set_size != PORT_SET_BYTES) {
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "ports must be 8192 bytes");
        return NULL;
    }
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {
            .sdiag_family = family == 6 ? AF_INET6 : AF_INET,
            .sdiag_protocol = IPPROTO_TCP,
            .idiag_states = 1U << ESTABLISHED | 1U << FIN_WAIT1 | 1U << FIN_WAIT2 | 1U << CLOSE_WAIT,
            .id = {.idiag_sport = htons((uint16_t)port), .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
        },
    };
    struct dump dump = {
        .output = {.bytes = bytes, .capacity = size / sizeof(struct tcp_record)}, .ports = ports, .take = take_tcp};
    return finish_dump(env, &dump, &request, sizeof request);
}

/* (out): every connection of a named listener of this network namespace, accepted or queued */
static napi_value diagnose_unix(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    uint8_t *bytes;
    size_t size;
    if (!read_arguments(env, info, 1, arguments) || !read_bytes(env, arguments[0], "out", &bytes, &size)) return NULL;
    struct {
        struct nlmsghdr header;
        struct unix_diag_req body;
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {
            .sdiag_family = AF_UNIX,
            .udiag_states = 1U << ESTABLISHED | 1U << LISTENING,
            .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS,
            .udiag_cookie = {~0U, ~0U},
        },
    };
    struct dump dump = {.output = {.bytes = bytes, .capacity = size / sizeof(struct unix_record)}, .take = take_unix};
    return finish_dump(env, &dump, &request, sizeof request);
}

bool register_diagnoses(napi_env env, napi_value exports) {
    return set_function(env, exports, "diagnoseTcp", diagnose_tcp) && set_function(env, exports, "diagnoseUnix", diagnose_unix);
}
