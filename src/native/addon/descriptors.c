/* Descriptors and memory: dup, close, flags, locks, limits, pipes, sealed memfds. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static napi_value duplicate(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int fd;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return throw_errno(env, "dup", errno);
    return make_integer(env, copy);
}

/* fs.closeSync warns, in a worker, about a descriptor that it did not open; this does not. */
static napi_value close_fd(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int fd;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    /* on Linux the descriptor is gone even after EINTR: a second close could hit another owner's */
    if (close(fd) != 0 && errno != EINTR) return throw_errno(env, "close", errno);
    return make_undefined(env);
}

static napi_value change_flag(napi_env env, napi_callback_info info, int get, int set, int flag) {
    napi_value arguments[2];
    int fd;
    bool on;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &fd) || !read_boolean(env, arguments[1], "on", &on))
        return NULL;
    int flags = fcntl(fd, get);
    if (flags < 0 || fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0) return throw_errno(env, "fcntl", errno);
    return make_undefined(env);
}

static napi_value set_cloexec(napi_env env, napi_callback_info info) {
    return change_flag(env, info, F_GETFD, F_SETFD, FD_CLOEXEC);
}

static napi_value set_nonblock(napi_env env, napi_callback_info info) {
    return change_flag(env, info, F_GETFL, F_SETFL, O_NONBLOCK);
}

static napi_value get_flags(napi_env env, napi_callback_info info) {
    napi_value arguments[1], result;
    int fd;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    int descriptor = fcntl(fd, F_GETFD), description = fcntl(fd, F_GETFL);
    if (descriptor < 0 || description < 0) return throw_errno(env, "fcntl", errno);
    bool ok = napi_create_object(env, &result) == napi_ok &&
              set_property(env, result, "cloexec", make_boolean(env, descriptor & FD_CLOEXEC)) &&
              set_property(env, result, "nonblock", make_boolean(env, description & O_NONBLOCK));
    return ok ? result : NULL;
}

static napi_value make_pair(napi_env env, const int fds[2]) {
    napi_value result;
    bool ok = napi_create_array_with_length(env, 2, &result) == napi_ok;
    for (uint32_t index = 0; ok && index < 2; index++) {
        napi_value fd = make_integer(env, fds[index]);
        ok = fd && napi_set_element(env, result, index, fd) == napi_ok;
    }
    if (ok) return result;
    close(fds[0]);
    close(fds[1]);
    return NULL;
}

/* [read end, write end], both CLOEXEC. Only the end named non-blocking is: a child must not be surprised by EAGAIN. */
static napi_value make_pipe(napi_env env, napi_callback_info info) {
    (void)info;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return throw_errno(env, "pipe2", errno);
    return make_pair(env, fds);
}

static napi_value make_socketpair(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int type, fds[2];
    if (!read_arguments(env, info, 1, arguments) || !read_int(env, arguments[0], "type", &type)) return NULL;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) return throw_errno(env, "socketpair", errno);
    return make_pair(env, fds);
}

static int write_all(int fd, const uint8_t *data, size_t length) {
    while (length > 0) {
        ssize_t count = write(fd, data, length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno;
        data += count;
        length -= (size_t)count;
    }
    return 0;
}

/* A memfd with these bytes, sealed against every change, its offset at 0. */
static napi_value sealed_memory(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    char name[64];
    uint8_t *data;
    size_t length;
    if (!read_arguments(env, info, 2, arguments) || !read_text(env, arguments[0], "name", name, sizeof name, NULL) ||
        !read_bytes(env, arguments[1], "data", &data, &length))
        return NULL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return throw_errno(env, "memfd_create", errno);
    const char *failed = NULL;
    int error = write_all(fd, data, length);
    if (error) failed = "write";
    else if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        failed = "fcntl", error = errno;
    if (!failed) return make_integer(env, fd);
    close(fd);
    return throw_errno(env, failed, error);
}

/* true when nobody can change or shorten what a memfd holds; false for what cannot be sealed at all */
static napi_value is_sealed(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int fd;
    if (!read_arguments(env, info, 1, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 && errno != EINVAL) return throw_errno(env, "fcntl", errno);
    return make_boolean(env, seals >= 0 && (seals & wanted) == wanted);
}

/* (fd, operation): a sum of LOCK_SH, LOCK_EX, LOCK_UN, LOCK_NB. False when LOCK_NB is in it and another holds the lock. */
static napi_value lock_file(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    int fd, operation, status;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &fd) ||
        !read_int(env, arguments[1], "operation", &operation))
        return NULL;
    do status = flock(fd, operation);
    while (status != 0 && errno == EINTR);
    if (status != 0 && errno == EWOULDBLOCK) return make_boolean(env, false);
    return status == 0 ? make_boolean(env, true) : throw_errno(env, "flock", errno);
}

/*
 * RLIMIT_NOFILE raised to `wanted`, or as far as it goes: the limit that holds now. The kernel's table of descriptors grows in doubling
 * steps, and each waits for every processor in a process with threads (10 ms for a thousand descriptors): it grows here, once.
 */
static napi_value make_room_for_files(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    int64_t wanted;
    struct rlimit limit;
    if (!read_arguments(env, info, 1, arguments) || !read_integer(env, arguments[0], "wanted", 0, INT32_MAX, &wanted)) return NULL;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return throw_errno(env, "getrlimit", errno);
    rlim_t before = limit.rlim_cur;
    if ((rlim_t)wanted > before) {
        limit.rlim_cur = (rlim_t)wanted <= limit.rlim_max ? (rlim_t)wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
    }
    int64_t granted = limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
    /* bounded: the memory of the table is not asked for by anybody's number */
    int64_t highest = (wanted < granted ? wanted : granted) - 1;
    int any = highest > 0 ? eventfd(0, EFD_CLOEXEC) : -1;
    if (any >= 0) {
        int high = fcntl(any, F_DUPFD_CLOEXEC, (int)(highest < 131072 ? highest : 131072));
        if (high >= 0) close(high);
        close(any);
    }
    return make_integer(env, granted);
}

bool register_descriptors(napi_env env, napi_value exports) {
    return set_function(env, exports, "dup", duplicate) && set_function(env, exports, "close", close_fd) &&
           set_function(env, exports, "setCloexec", set_cloexec) && set_function(env, exports, "setNonblock", set_nonblock) &&
           set_function(env, exports, "getFlags", get_flags) && set_function(env, exports, "pipe", make_pipe) &&
           set_function(env, exports, "socketpair", make_socketpair) &&
           set_function(env, exports, "flock", lock_file) && set_function(env, exports, "makeRoomForFiles", make_room_for_files) &&
           set_function(env, exports, "sealedMemory", sealed_memory) && set_function(env, exports, "isSealed", is_sealed);
}
