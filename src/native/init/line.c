#include "line.h"

#include <string.h>
#include <unistd.h>

#include "children.h"
#include "held.h"
#include "state.h"

static struct line lines[LINE_MOST];
static int last_number, primary;

static void begin(struct line *line)
{
    memset(line, 0, sizeof *line);
    line->state = LINE_ALIVE;
    line->channel = -1;
    supervisor_begin(&line->supervisor);
    standby_begin(&line->standby);
    report_begin(&line->report);
    stop_begin(&line->stop);
}

struct line *line_open(void)
{
    for (int slot = 0; slot < LINE_MOST; slot++) {
        struct line *line = &lines[slot];
        if (line->state != LINE_FREE)
            continue;
        begin(line);
        line->number = ++last_number;
        if (line->number == 1)
            line_make_primary(line);
        return line;
    }
    return NULL;
}

void line_close(struct line *line, bool tell)
{
    int slot = line_slot(line);
    if (line->channel >= 0)
        close(line->channel);
    line->channel = -1;
    held_drop_all(slot);
    children_drop_all(slot);
    supervisor_end(&line->supervisor);
    standby_end(&line->standby);
    line->state = tell ? LINE_OVER : LINE_FREE;
}

void line_forget(struct line *line)
{
    line->state = LINE_FREE;
}

int line_slot(const struct line *line)
{
    return (int)(line - lines);
}

struct line *line_at(int slot)
{
    return &lines[slot];
}

struct line *line_next(const struct line *line)
{
    for (int slot = line == NULL ? 0 : line_slot(line) + 1; slot < LINE_MOST; slot++)
        if (lines[slot].state == LINE_ALIVE)
            return &lines[slot];
    return NULL;
}

struct line *line_by_number(int64_t number)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        if (line->number == number)
            return line;
    return NULL;
}

struct line *line_by_supervisor(pid_t pid)
{
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        if (line->supervisor.pid == pid)
            return line;
    return NULL;
}

struct line *line_first_over(void)
{
    struct line *first = NULL;
    for (int slot = 0; slot < LINE_MOST; slot++)
        if (lines[slot].state == LINE_OVER && (first == NULL || lines[slot].number < first->number))
            first = &lines[slot];
    return first;
}

int line_count(void)
{
    int count = 0;
    for (struct line *line = line_next(NULL); line != NULL; line = line_next(line))
        count++;
    return count;
}

bool line_is_only(const struct line *line)
{
    return line->state == LINE_ALIVE && line_count() == 1;
}

struct line *line_primary(void)
{
    return line_by_number(primary);
}

bool line_is_primary(const struct line *line)
{
    return line->state == LINE_ALIVE && line->number == primary;
}

void line_make_primary(struct line *line)
{
    primary = line->number;
    line->was_primary = true;
}

void line_visit(struct state *state, struct line *line)
{
    STATE_NUMBER(state, "number", line->number, 1, INT32_MAX);
    STATE_NUMBER(state, "state", line->state, LINE_ALIVE, LINE_OVER);
    STATE_FLAG(state, "was-primary", line->was_primary);
    state_fd(state, "channel", &line->channel);
    STATE_AMOUNT(state, "last-sequence", line->inbox.last_sequence);
    supervisor_visit(state, &line->supervisor);
    standby_visit(state, &line->standby);
    report_visit(state, &line->report);
    stop_visit(state, &line->stop);
}

void line_visit_all(struct state *state)
{
    STATE_NUMBER(state, "last-line", last_number, 1, INT32_MAX - 1);
    STATE_NUMBER(state, "primary", primary, 1, INT32_MAX);
}

struct line *line_restore(int slot)
{
    struct line *line = &lines[slot];
    if (line->state != LINE_FREE)
        return NULL;
    begin(line);
    return line;
}

bool line_restored_all(void)
{
    for (const struct line *line = lines; line < lines + LINE_MOST; line++) {
        if (line->state == LINE_FREE)
            continue;
        if (line->number < 1 || line->number > last_number)
            return false;
        for (const struct line *other = lines; other < line; other++)
            if (other->state != LINE_FREE && other->number == line->number)
                return false;
    }
    return primary >= 1 && line_count() > 0;
}
