#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spawn_order.h"

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

static int make_memory(void)
{
    return memfd_create("pingora-entry-program", MFD_CLOEXEC);
}

static int give_up(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int program_keep(struct frame *frame, const char **wrong)
{
    const char *begin = frame->rest;
    size_t arguments = 0;
    *wrong = NULL;
    for (const char *field; (field = frame_take(frame)) != NULL;) {
        bool is_argument = spawn_order_value(field, "a") != NULL;
        if (!is_argument && spawn_order_value(field, "e") == NULL)
            *wrong = "field";
        arguments += is_argument;
    }
    if (*wrong == NULL && arguments == 0)
        *wrong = "a";
    if (*wrong != NULL)
        return -1;
    int fd = make_memory();
    if (fd >= 0 && !write_all(fd, begin, (size_t)(frame->end - begin)))
        return give_up(fd);
    return fd;
}

static bool write_fields(int fd, const char *key, char *const values[])
{
    for (size_t i = 0; values[i] != NULL; i++)
        if (!write_all(fd, key, strlen(key)) || !write_all(fd, values[i], strlen(values[i]) + 1))
            return false;
    return true;
}

int program_keep_arrays(char *const arguments[], char *const environment[])
{
    int fd = make_memory();
    if (fd >= 0 && (!write_fields(fd, "a=", arguments) || !write_fields(fd, "e=", environment)))
        return give_up(fd);
    return fd;
}

static char **collect(struct frame fields, const char *key)
{
    struct frame counted = fields;
    size_t count = 0, at = 0;
    for (const char *field; (field = frame_take(&counted)) != NULL;)
        count += spawn_order_value(field, key) != NULL;
    char **all = mmap(NULL, (count + 1) * sizeof *all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    for (const char *field; (field = frame_take(&fields)) != NULL;) {
        const char *value = spawn_order_value(field, key);
        if (value != NULL)
            all[at++] = (char *)value;
    }
    return all;
}

bool program_read(int fd, char ***arguments, char ***environment)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return false;
    const char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return false;
    struct frame fields = {.verb = "", .rest = bytes, .end = bytes + status.st_size};
    *arguments = collect(fields, "a");
    *environment = collect(fields, "e");
    return *arguments != NULL && *environment != NULL && (*arguments)[0] != NULL;
}
