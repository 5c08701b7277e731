/*
 * What an init reads of the state that another one left. Whatever it accepts it must write again, and read again as the same. Descriptors and
 * processes are numbers only: the sources are compiled with close as fuzz_close and kill as fuzz_kill.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "children.h"
#include "held.h"
#include "line.h"
#include "snapshot.h"
#include "state.h"
#include "supervise.h"
#include "supervisor.h"

int fuzz_close(int fd)
{
    (void)fd;
    return 0;
}

int fuzz_kill(pid_t pid, int number)
{
    (void)pid, (void)number;
    return 0;
}

void supervise_visit(struct state *state)
{
    static bool flag;
    STATE_FLAG(state, "warn-on-reap", flag);
}

static const char *read_copy(const char *bytes, size_t length)
{
    /* of its very length: one byte too far is seen */
    char *copy = malloc(length == 0 ? 1 : length);
    memcpy(copy, bytes, length);
    bool refused = snapshot_read(copy, length) != NULL;
    free(copy);
    return refused ? "refused" : NULL;
}

static void check_tables(void)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line)) {
        int slot = line_slot(line), alive = 0, owing = 0;
        for (int child = 0; child < children_end(); child++) {
            const struct child *each = children_at(child);
            if (each->state == CHILD_FREE || each->line != slot)
                continue;
            alive += !each->reaped;
            owing += each->queued;
            if (memchr(each->id, '\0', sizeof each->id) == NULL || memchr(each->stage, '\0', sizeof each->stage) == NULL)
                abort();
        }
        for (int child = children_first_owing(slot); child != CHILD_NONE; child = children_at(child)->next)
            owing--;
        if (alive != children_alive(slot) || owing != 0 || line->inbox.count > INBOX_MOST)
            abort();
        for (int held = 0; held < held_end(slot); held++)
            if (memchr(held_at(slot, held).name, '\0', HELD_LONGEST_NAME + 1) == NULL)
                abort();
    }
}

static void reset(void)
{
    for (int slot = 0; slot < LINE_MOST; slot++) {
        struct line *line = line_at(slot);
        for (int child = 0; child < children_end(); child++)
            if (children_at(child)->state != CHILD_FREE && children_at(child)->line == slot && children_at(child)->state == CHILD_FAILED)
                children_at(child)->state = CHILD_RUNNING;
        line_close(line, false);
        memset(&line->inbox, 0, sizeof line->inbox);
        if (children_alive(slot) != 0 || children_first_owing(slot) != CHILD_NONE || held_end(slot) != 0)
            abort();
    }
}

/* What snapshot_make writes now. */
static char *written(size_t *length)
{
    struct stat status;
    int fd = snapshot_make();
    if (fd < 0 || fstat(fd, &status) < 0)
        abort();
    *length = (size_t)status.st_size;
    char *bytes = malloc(*length);
    if (pread(fd, bytes, *length, 0) != (ssize_t)*length)
        abort();
    syscall(SYS_close, fd);
    return bytes;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char *const nothing[] = {"x", NULL};
    supervisor_init(nothing, nothing);
    if (read_copy((const char *)data, size) == NULL) {
        size_t first_length, second_length;
        check_tables();
        /* a program that it had to keep first is one more descriptor */
        for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
            if (line->supervisor.program < 0)
                line->supervisor.program = 1000;
        char *first = written(&first_length);
        reset();
        if (read_copy(first, first_length) != NULL)
            abort();
        check_tables();
        char *second = written(&second_length);
        if (first_length != second_length || memcmp(first, second, first_length) != 0)
            abort();
        free(first);
        free(second);
    }
    reset();
    return 0;
}
