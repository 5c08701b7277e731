/* Sockets outside libuv: created CLOEXEC and non-blocking, with options, bound, listening. */
#define _GNU_SOURCE
#include "addon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static napi_value make_socket(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    int domain, type;
    if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], "domain", &domain) ||
        !read_int(env, arguments[1], "type", &type))
        return NULL;
    int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return throw_errno(env, "socket", errno);
    return make_integer(env, fd);
}

struct target {
    int fd;
    struct sockaddr_storage address;
    socklen_t length;
};

/* (fd, path): a first NUL makes it an abstract name */
static bool read_unix_target(napi_env env, napi_callback_info info, struct target *target) {
    napi_value arguments[2];
    struct sockaddr_un *address = (struct sockaddr_un *)&target->address;
    size_t length;
    memset(&target->address, 0, sizeof target->address);
    address->sun_family = AF_UNIX;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &target->fd) ||
        !read_text(env, arguments[1], "path", address->sun_path, sizeof address->sun_path, &length))
        return false;
    bool abstract = length > 0 && address->sun_path[0] == '\0';
    if (length == 0 || (!abstract && strlen(address->sun_path) != length)) {
        napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "path must not be empty or contain a NUL");
        return false;
    }
    target->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
    return true;
}

/* (fd, host as a numeric address, port, scope of a link-local IPv6 address or 0) */
static bool read_inet_target(napi_env env, napi_callback_info info, struct target *target) {
    napi_value arguments[4];
    char host[INET6_ADDRSTRLEN];
    int64_t port, scope;
    if (!read_arguments(env, info, 4, arguments) || !read_fd(env, arguments[0], &target->fd) ||
        !read_text(env, arguments[1], "host", host, sizeof host, NULL) ||
        !read_integer(env, arguments[2], "port", 0, 65535, &port) ||
        !read_integer(env, arguments[3], "scope", 0, UINT32_MAX, &scope))
        return false;
    memset(&target->address, 0, sizeof target->address);
    struct sockaddr_in *inet = (struct sockaddr_in *)&target->address;
    struct sockaddr_in6 *inet6 = (struct sockaddr_in6 *)&target->address;
    if (inet_pton(AF_INET, host, &inet->sin_addr) == 1) {
        inet->sin_family = AF_INET;
        inet->sin_port = htons((uint16_t)port);
        target->length = sizeof *inet;
    } else if (inet_pton(AF_INET6, host, &inet6->sin6_addr) == 1) {
        inet6->sin6_family = AF_INET6;
        inet6->sin6_port = htons((uint16_t)port);
        inet6->sin6_scope_id = (uint32_t)scope;
        target->length = sizeof *inet6;
    } else {
        napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "host must be a numeric IPv4 or IPv6 address");
        return false;
    }
    return true;
}

static napi_value finish(napi_env env, const char *syscall, int status) {
    return status == 0 ? make_undefined(env) : throw_errno(env, syscall, errno);
}

static napi_value bind_unix(napi_env env, napi_callback_info info) {
    struct target target;
    if (!read_unix_target(env, info, &target)) return NULL;
    return finish(env, "bind", bind(target.fd, (struct sockaddr *)&target.address, target.length));
}

static napi_value bind_inet(napi_env env, napi_callback_info info) {
    struct target target;
    if (!read_inet_target(env, info, &target)) return NULL;
    return finish(env, "bind", bind(target.fd, (struct sockaddr *)&target.address, target.length));
}

static napi_value connect_unix(napi_env env, napi_callback_info info) {
    struct target target;
    if (!read_unix_target(env, info, &target)) return NULL;
    return finish(env, "connect", connect(target.fd, (struct sockaddr *)&target.address, target.length));
}

/* Mode of the file that a later bind of this unix socket makes (still subject to the umask): no moment with a wider one. */
static napi_value set_mode(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    int fd;
    int64_t mode;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_integer(env, arguments[1], "mode", 0, 0777, &mode))
        return NULL;
    return finish(env, "fchmod", fchmod(fd, (mode_t)mode));
}

static napi_value listen_on(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    int fd, backlog;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_int(env, arguments[1], "backlog", &backlog))
        return NULL;
    return finish(env, "listen", listen(fd, backlog));
}

/* The next connection, CLOEXEC and non-blocking, or undefined when none waits. */
static napi_value accept_connection(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int fd, connection;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    do connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (connection < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (connection >= 0) return make_integer(env, connection);
    return errno == EAGAIN || errno == EWOULDBLOCK ? make_undefined(env) : throw_errno(env, "accept", errno);
}

static bool read_memory(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length) {
    napi_typedarray_type type = wanted;
    bool typed = false;
    if (napi_is_typedarray(env, value, &typed) == napi_ok && typed &&
        napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted)
        return true;
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "fds must be an Int32Array, results a Float64Array");
    return false;
}

/*
 * (fds, results): for each fd two numbers, its inode and whether it listens (0 or 1). One call for a batch: 5,000 sockets are 10,000
 * system calls, each cheaper than the way from JavaScript and back.
 */
static napi_value inspect_sockets(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    void *fds, *results;
    size_t count, room;
    if (!read_arguments(env, info, 2, arguments) || !read_memory(env, arguments[0], napi_int32_array, &fds, &count) ||
        !read_memory(env, arguments[1], napi_float64_array, &results, &room))
        return NULL;
    if (room / 2 < count) {
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "results must have two numbers for each fd");
        return NULL;
    }
    for (size_t index = 0; index < count; index++) {
        int fd = ((int32_t *)fds)[index], listens = 0;
        struct stat status;
        socklen_t length = sizeof listens;
        if (fstat(fd, &status) != 0) return throw_errno(env, "fstat", errno);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0) return throw_errno(env, "getsockopt", errno);
        ((double *)results)[2 * index] = (double)status.st_ino;
        ((double *)results)[2 * index + 1] = listens;
    }
    return make_undefined(env);
}

static napi_value set_option(napi_env env, napi_callback_info info) {
    napi_value arguments[4];
    int fd, level, name, value;
    if (!read_arguments(env, info, 4, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_int(env, arguments[1], "level", &level) || !read_int(env, arguments[2], "name", &name) ||
        !read_int(env, arguments[3], "value", &value))
        return NULL;
    return finish(env, "setsockopt", setsockopt(fd, level, name, &value, sizeof value));
}

static napi_value get_option(napi_env env, napi_callback_info info) {
    napi_value arguments[3];
    int fd, level, name, value = 0;
    socklen_t length = sizeof value;
    if (!read_arguments(env, info, 3, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_int(env, arguments[1], "level", &level) || !read_int(env, arguments[2], "name", &name))
        return NULL;
    if (getsockopt(fd, level, name, &value, &length) != 0) return throw_errno(env, "getsockopt", errno);
    return make_integer(env, value);
}

static napi_value get_local_address(napi_env env, napi_callback_info info) {
    napi_value arguments[1], result;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int fd;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return throw_errno(env, "getsockname", errno);
    return napi_create_object(env, &result) == napi_ok && set_address(env, result, &address, length) ? result : NULL;
}

static napi_value get_peer_credentials(napi_env env, napi_callback_info info) {
    napi_value arguments[1], result;
    struct ucred peer;
    socklen_t length = sizeof peer;
    int fd;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return throw_errno(env, "getsockopt", errno);
    bool ok = napi_create_object(env, &result) == napi_ok && set_integer(env, result, "pid", peer.pid) &&
              set_integer(env, result, "uid", peer.uid) && set_integer(env, result, "gid", peer.gid);
    return ok ? result : NULL;
}

/* What the other end has not read yet; of a unix socket more than the bytes, and 0 only when there is nothing. */
static napi_value count_unread(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int fd, count = 0;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    if (ioctl(fd, SIOCOUTQ, &count) != 0) return throw_errno(env, "ioctl", errno);
    return make_integer(env, count);
}

bool register_sockets(napi_env env, napi_value exports) {
    static const struct { const char *name; int value; } constants[] = {
        {"AF_UNIX", AF_UNIX}, {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6},
        {"SOCK_STREAM", SOCK_STREAM}, {"SOCK_DGRAM", SOCK_DGRAM}, {"SOCK_SEQPACKET", SOCK_SEQPACKET},
        {"SOL_SOCKET", SOL_SOCKET}, {"SO_REUSEADDR", SO_REUSEADDR}, {"SO_REUSEPORT", SO_REUSEPORT},
        {"SO_PASSCRED", SO_PASSCRED}, {"SO_ACCEPTCONN", SO_ACCEPTCONN}, {"SO_DOMAIN", SO_DOMAIN}, {"SO_TYPE", SO_TYPE},
        {"LOCK_SH", LOCK_SH}, {"LOCK_EX", LOCK_EX}, {"LOCK_UN", LOCK_UN}, {"LOCK_NB", LOCK_NB},
        {"SO_RCVBUF", SO_RCVBUF}, {"SO_SNDBUF", SO_SNDBUF}, {"IPPROTO_IPV6", IPPROTO_IPV6}, {"IPV6_V6ONLY", IPV6_V6ONLY},
    };
    napi_value numbers;
    if (napi_create_object(env, &numbers) != napi_ok) return false;
    for (size_t index = 0; index < sizeof constants / sizeof *constants; index++)
        if (!set_integer(env, numbers, constants[index].name, constants[index].value)) return false;
    return set_property(env, exports, "constants", numbers) && set_function(env, exports, "socket", make_socket) &&
           set_function(env, exports, "bindUnix", bind_unix) && set_function(env, exports, "bindInet", bind_inet) &&
           set_function(env, exports, "connectUnix", connect_unix) && set_function(env, exports, "setMode", set_mode) &&
           set_function(env, exports, "listen", listen_on) && set_function(env, exports, "accept", accept_connection) &&
           set_function(env, exports, "inspectSockets", inspect_sockets) && set_function(env, exports, "setOption", set_option) &&
           set_function(env, exports, "getOption", get_option) &&
           set_function(env, exports, "getLocalAddress", get_local_address) &&
           set_function(env, exports, "getPeerCredentials", get_peer_credentials) &&
           set_function(env, exports, "unread", count_unread);
}
