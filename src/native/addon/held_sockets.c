/* Which sockets a process has open, from /proc: thousands of them cost microseconds each, a tenth of what fs.readlink costs. */
#define _GNU_SOURCE
#include "addon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* (pid, out as bytes of 32-bit numbers): how many sockets it has; their inodes as far as they fit. ENOENT or ESRCH: it is gone. */
static napi_value held_sockets(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    int64_t pid;
    uint8_t *out;
    size_t size;
    if (!read_arguments(env, info, 2, arguments) || !read_integer(env, arguments[0], "pid", 1, INT32_MAX, &pid) ||
        !read_bytes(env, arguments[1], "out", &out, &size))
        return NULL;
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder) return throw_errno(env, "opendir", errno);
    size_t count = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char link[64];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        if (length < 0) continue; /* closed meanwhile, or "." */
        link[length] = '\0';
        if (strncmp(link, "socket:[", 8) != 0) continue;
        uint32_t inode = (uint32_t)strtoul(link + 8, NULL, 10);
        if ((count + 1) * sizeof inode <= size) memcpy(out + count * sizeof inode, &inode, sizeof inode);
        count += 1;
    }
    closedir(folder);
    return make_integer(env, (int64_t)count);
}

bool register_held_sockets(napi_env env, napi_value exports) {
    return set_function(env, exports, "heldSockets", held_sockets);
}
