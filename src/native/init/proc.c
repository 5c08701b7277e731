#define _GNU_SOURCE
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "number.h"

/* opendir() allocates; this is getdents64(2) */
struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static char entries[8192] __attribute__((aligned(8)));

/* What it tells of is what our process numbers mean: it may be missing, or be that of another PID namespace. */
static bool is_ours(void)
{
    char name[24], digits[24];
    ssize_t length = readlink("/proc/self", name, sizeof name - 1);
    if (length <= 0)
        return false;
    name[length] = '\0';
    number_print(getpid(), digits);
    return strcmp(name, digits) == 0;
}

bool proc_begin(struct proc_walk *walk)
{
    if (!is_ours())
        return false;
    walk->directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    walk->at = walk->filled = 0;
    return walk->directory >= 0;
}

void proc_end(struct proc_walk *walk)
{
    close(walk->directory);
}

static long next_number(const char **text)
{
    while (**text == ' ')
        ++*text;
    bool negative = **text == '-';
    if (negative)
        ++*text;
    /* unsigned: what is no number of the kernel's may be too large */
    unsigned long value = 0;
    for (; **text >= '0' && **text <= '9'; ++*text)
        value = value * 10 + (unsigned long)(**text - '0');
    return negative ? -(long)(value & LONG_MAX) : (long)(value & LONG_MAX);
}

static bool read_stat(int directory, const char *pid, struct process *process)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "%s/stat", pid);
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    /* "pid (name) state ppid pgrp session ...", and a name may contain anything, ')' too */
    const char *rest = strrchr(text, ')');
    if (rest == NULL || rest[1] != ' ')
        return false;
    process->state = rest[2];
    rest += 3;
    process->parent = (pid_t)next_number(&rest);
    process->group = (pid_t)next_number(&rest);
    process->session = (pid_t)next_number(&rest);
    return true;
}

bool proc_next(struct proc_walk *walk, struct process *process)
{
    for (;;) {
        if (walk->at >= walk->filled) {
            walk->filled = (int)syscall(SYS_getdents64, walk->directory, entries, sizeof entries);
            walk->at = 0;
            if (walk->filled <= 0)
                return false;
        }
        const struct entry *entry = (const void *)(entries + walk->at);
        walk->at += entry->length;
        int64_t pid;
        if (!number_parse(entry->name, 1, INT32_MAX, &pid) || pid == getpid())
            continue;
        process->pid = (pid_t)pid;
        if (read_stat(walk->directory, entry->name, process))
            return true;
    }
}

bool proc_read(pid_t pid, struct process *process)
{
    char path[40], digits[24];
    number_print(pid, digits);
    snprintf(path, sizeof path, "/proc/%s", digits);
    process->pid = pid;
    return is_ours() && read_stat(AT_FDCWD, path, process);
}

static int open_environment(pid_t pid)
{
    char path[48], digits[24];
    number_print(pid, digits);
    snprintf(path, sizeof path, "/proc/%s/environ", digits);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * One element after the other: `matched` bytes of it are those of `start` so far, -1 when it is another one. What follows `start` goes into
 * `value`, with its NUL. False when no element begins so, or what follows does not fit.
 */
static bool find_element(int fd, const char *start, char *value, size_t size)
{
    ssize_t start_length = (ssize_t)strlen(start), matched = 0, length;
    char text[4096];
    while ((length = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < length; i++) {
            if (matched >= start_length && (size_t)(matched - start_length) < size) {
                value[matched++ - start_length] = text[i];
                if (text[i] == '\0')
                    return true;
            } else if (matched >= 0 && matched < start_length && text[i] == start[matched]) {
                matched++;
            } else {
                matched = -1;
            }
            if (text[i] == '\0')
                matched = 0;
        }
    }
    return false;
}

bool proc_has_mark(pid_t pid, const char *mark)
{
    char end[1];
    int fd = open_environment(pid);
    if (fd < 0)
        return false;
    bool found = find_element(fd, mark, end, sizeof end);
    close(fd);
    return found;
}

bool proc_read_variable(pid_t pid, const char *name, char *value, size_t size)
{
    char start[64];
    int fd = open_environment(pid);
    if (fd < 0)
        return false;
    snprintf(start, sizeof start, "%s=", name);
    bool found = find_element(fd, start, value, size);
    close(fd);
    return found;
}
