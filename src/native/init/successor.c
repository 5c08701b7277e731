#define _GNU_SOURCE
#include "successor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "frame.h"
#include "line.h"
#include "program.h"
#include "report.h"
#include "spawn.h"
#include "supervisor.h"

static bool start_first(struct line *line, int64_t now)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    bool started = supervisor_fork(line, ends[1], now);
    int error = errno;
    close(ends[1]);
    errno = error;
    if (!started) {
        close(ends[0]);
        return false;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    line->supervisor.start_pipe = ends[0];
    return true;
}

struct line *successor_start(struct line *line, struct frame *frame, int64_t now, const char **stage, int *error)
{
    const char *wrong;
    int program = program_keep(frame, &wrong);
    if (program < 0) {
        *stage = wrong != NULL ? wrong : "fork";
        *error = wrong != NULL ? EINVAL : errno;
        return NULL;
    }
    struct line *successor = line_open();
    if (successor == NULL) {
        close(program);
        *stage = "table";
        *error = ENFILE;
        return NULL;
    }
    successor->supervisor.enabled = true;
    successor->supervisor.program = program;
    successor->supervisor.asked_by = line->number;
    successor->supervisor.asked_by_restart = supervisor_restarts(line);
    if (start_first(successor, now))
        return successor;
    *stage = "fork";
    *error = errno;
    line_close(successor, false);
    return NULL;
}

bool successor_is_starting_for(const struct line *line)
{
    for (const struct line *other = line_next(NULL); other != NULL; other = line_next(other))
        if (other->supervisor.start_pipe >= 0 && other->supervisor.asked_by == line->number)
            return true;
    return line->report.late_waits[LATE_SUCCESSOR];
}

static void tell_who_asked(const struct line *line, const struct start_failure *failure)
{
    struct frame_text text;
    struct line *asked = line_by_number(line->supervisor.asked_by);
    if (asked == NULL)
        return;
    frame_begin(&text, failure == NULL ? "STARTED" : "START-FAILED");
    if (failure != NULL)
        frame_add(&text, failure->stage);
    frame_add_number(&text, failure != NULL ? failure->error : line->number);
    if (failure == NULL)
        frame_add_number(&text, line->supervisor.pid);
    report_answer_later(asked, line->supervisor.asked_by_restart, LATE_SUCCESSOR, &text);
}

bool successor_started(struct line *line)
{
    struct supervisor *supervisor = &line->supervisor;
    struct start_failure failure;
    ssize_t length = read(supervisor->start_pipe, &failure, sizeof failure);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    close(supervisor->start_pipe);
    supervisor->start_pipe = -1;
    failure.stage[sizeof failure.stage - 1] = '\0';
    supervisor->has_failed = length == (ssize_t)sizeof failure;
    tell_who_asked(line, supervisor->has_failed ? &failure : NULL);
    return true;
}
