#include "held.h"

#include <string.h>
#include <unistd.h>

/* `used` is 0 in slots that were never taken: their pages are never touched */
static struct {
    int fd;
    enum held_kind kind;
    bool used;
    char name[HELD_LONGEST_NAME + 1];
} slots[HELD_MOST];
static int end;

static int find(enum held_kind kind, const char *name)
{
    for (int slot = 0; slot < end; slot++)
        if (slots[slot].used && slots[slot].kind == kind && strcmp(slots[slot].name, name) == 0)
            return slot;
    return -1;
}

static int find_free(void)
{
    for (int slot = 0; slot < end; slot++)
        if (!slots[slot].used)
            return slot;
    return end < HELD_MOST ? end++ : -1;
}

bool held_put(enum held_kind kind, const char *name, int fd)
{
    int slot = find(kind, name);
    if (slot >= 0)
        close(slots[slot].fd);
    else if ((slot = find_free()) < 0)
        return false;
    slots[slot].used = true;
    slots[slot].kind = kind;
    slots[slot].fd = fd;
    strncpy(slots[slot].name, name, HELD_LONGEST_NAME);
    slots[slot].name[HELD_LONGEST_NAME] = '\0';
    return true;
}

void held_drop(enum held_kind kind, const char *name)
{
    int slot = find(kind, name);
    if (slot < 0)
        return;
    close(slots[slot].fd);
    slots[slot].used = false;
    while (end > 0 && !slots[end - 1].used)
        end--;
}

int held_end(void)
{
    return end;
}

struct held held_at(int slot)
{
    struct held held = {.fd = slots[slot].used ? slots[slot].fd : -1, .kind = slots[slot].kind, .name = slots[slot].name};
    return held;
}
