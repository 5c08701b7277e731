#include "held.h"

#include <string.h>
#include <unistd.h>

#include "line.h"
#include "state.h"

/* `used` is 0 in slots that were never taken: their pages are never touched */
static struct {
    struct {
        int fd;
        enum held_kind kind;
        bool used;
        char name[HELD_LONGEST_NAME + 1];
    } slots[HELD_MOST];
    int end;
} tables[LINE_MOST];

static int find(int line, enum held_kind kind, const char *name)
{
    for (int slot = 0; slot < tables[line].end; slot++)
        if (tables[line].slots[slot].used && tables[line].slots[slot].kind == kind && strcmp(tables[line].slots[slot].name, name) == 0)
            return slot;
    return -1;
}

static int find_free(int line)
{
    for (int slot = 0; slot < tables[line].end; slot++)
        if (!tables[line].slots[slot].used)
            return slot;
    return tables[line].end < HELD_MOST ? tables[line].end++ : -1;
}

bool held_put(int line, enum held_kind kind, const char *name, int fd)
{
    int slot = find(line, kind, name);
    if (slot >= 0)
        close(tables[line].slots[slot].fd);
    else if ((slot = find_free(line)) < 0)
        return false;
    tables[line].slots[slot].used = true;
    tables[line].slots[slot].kind = kind;
    tables[line].slots[slot].fd = fd;
    strncpy(tables[line].slots[slot].name, name, HELD_LONGEST_NAME);
    tables[line].slots[slot].name[HELD_LONGEST_NAME] = '\0';
    return true;
}

int held_fd(int line, enum held_kind kind, const char *name)
{
    int slot = find(line, kind, name);
    return slot < 0 ? -1 : tables[line].slots[slot].fd;
}

static void drop(int line, int slot)
{
    close(tables[line].slots[slot].fd);
    tables[line].slots[slot].used = false;
    while (tables[line].end > 0 && !tables[line].slots[tables[line].end - 1].used)
        tables[line].end--;
}

void held_drop(int line, enum held_kind kind, const char *name)
{
    int slot = find(line, kind, name);
    if (slot >= 0)
        drop(line, slot);
}

void held_drop_all(int line)
{
    while (tables[line].end > 0)
        drop(line, tables[line].end - 1);
}

int held_end(int line)
{
    return tables[line].end;
}

struct held held_at(int line, int slot)
{
    return (struct held){
        .fd = tables[line].slots[slot].used ? tables[line].slots[slot].fd : -1,
        .kind = tables[line].slots[slot].kind,
        .name = tables[line].slots[slot].name,
    };
}

void held_visit(struct state *state, int line, int slot)
{
    STATE_NUMBER(state, "kind", tables[line].slots[slot].kind, HELD_SOCKET, HELD_STATE);
    state_fd(state, "fd", &tables[line].slots[slot].fd);
    state_text(state, "name", tables[line].slots[slot].name, sizeof tables[line].slots[slot].name);
}

bool held_restore(int line, int slot)
{
    if (tables[line].slots[slot].used)
        return false;
    tables[line].slots[slot].used = true;
    tables[line].slots[slot].fd = -1;
    if (slot >= tables[line].end)
        tables[line].end = slot + 1;
    return true;
}
