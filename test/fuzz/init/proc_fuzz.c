/*
 * What processes can make /proc say: a name with anything in it must not shift the fields after it, a stat that ends early must not be
 * read beyond, and an environment in any pieces contains a mark when it has that very element, and not otherwise.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* the file that proc.c opens next, and how much of it one read gives */
static const char *content;
static size_t content_length, content_at, piece;

static int fake_open(void)
{
    content_at = 0;
    return 1000;
}

static ssize_t fake_read(void *bytes, size_t size)
{
    size_t part = content_length - content_at;
    if (part > size)
        part = size;
    if (part > piece)
        part = piece;
    memcpy(bytes, content + content_at, part);
    content_at += part;
    return (ssize_t)part;
}

#define open(...) fake_open()
#define openat(...) fake_open()
#define read(fd, bytes, size) fake_read(bytes, size)
#define close(fd) ((void)(fd), 0)
#include "proc.c"
#undef open
#undef openat
#undef read
#undef close

enum { LONGEST_NAME = 64 };

static void set_content(const char *bytes, size_t length)
{
    /* its exact size, so that a read beyond is seen */
    char *copy = malloc(length + 1);
    memcpy(copy, bytes, length);
    content = copy;
    content_length = length;
}

static void try_stat(const unsigned char *data, size_t size)
{
    char name[LONGEST_NAME + 1], text[512];
    unsigned parent = 0, group = 0, cut = 0;
    if (size < 4)
        return;
    parent = data[0] * 257u;
    group = data[1] * 16843009u >> 1;
    cut = data[2];
    size_t length = size - 3 < LONGEST_NAME ? size - 3 : LONGEST_NAME;
    memcpy(name, data + 3, length);
    for (size_t i = 0; i < length; i++)
        if (name[i] == '\0')
            name[i] = ')';
    name[length] = '\0';
    int whole = snprintf(text, sizeof text, "42 (%s) S %u %u %d 0 -1 4194560 1 0", name, parent, group, -1);
    bool complete = cut == 0;
    set_content(text, complete || cut > (unsigned)whole ? (size_t)whole : (size_t)whole - cut);
    piece = sizeof text;
    struct process process;
    bool found = proc_read(42, &process);
    if (complete && (!found || process.pid != 42 || process.state != 'S' || process.parent != (pid_t)parent ||
                     process.group != (pid_t)group || process.session != -1))
        abort();
    free((void *)content);
}

static void try_environment(const unsigned char *data, size_t size)
{
    static const char *const marks[] = {"A=b", "PINGORA_ENTRY_ID=web.0", "AAB", "A="};
    if (size < 2)
        return;
    const char *mark = marks[data[0] % 4];
    piece = data[1] % 31 + 1;
    data += 2, size -= 2;
    set_content((const char *)data, size);
    bool expected = false;
    for (size_t at = 0; at < size && !expected;) {
        const unsigned char *end = memchr(data + at, '\0', size - at);
        if (end == NULL)
            break; /* cut off: it may be the beginning of another */
        expected = strcmp((const char *)data + at, mark) == 0;
        at = (size_t)(end - data) + 1;
    }
    if (proc_has_mark(42, mark) != expected)
        abort();
    free((void *)content);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0)
        return 0;
    (data[0] & 1 ? try_stat : try_environment)(data + 1, size - 1);
    return 0;
}
