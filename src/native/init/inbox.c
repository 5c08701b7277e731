#include "inbox.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

/* 64 to be sent, and as many under way: there are fewer signals than that, so a full queue has two equal ones */
enum { MOST_UNSENT = 64, MOST_SENT = 64 };

static struct waiting queue[MOST_UNSENT + MOST_SENT];
static int count;
static int64_t last_sequence;

static int unsent(void)
{
    int number = 0;
    for (int i = 0; i < count; i++)
        number += queue[i].sent_at == 0;
    return number;
}

static void remove_at(int index)
{
    memmove(&queue[index], &queue[index + 1], (size_t)(count - index - 1) * sizeof queue[0]);
    count--;
}

/* An unsent entry before `end` with this number; -1 when there is none. */
static int find_unsent(int number, int end)
{
    for (int i = 0; i < end; i++)
        if (queue[i].sent_at == 0 && queue[i].number == number)
            return i;
    return -1;
}

static void make_room(void)
{
    for (int i = count - 1; i > 0; i--) {
        if (queue[i].sent_at == 0 && find_unsent(queue[i].number, i) >= 0) {
            remove_at(i);
            return;
        }
    }
}

void inbox_add(int number, pid_t sender, uid_t sender_user, int64_t now)
{
    if (unsent() >= MOST_UNSENT) {
        if (find_unsent(number, count) >= 0)
            return;
        make_room();
    }
    queue[count++] = (struct waiting){
        .sequence = ++last_sequence,
        .number = number,
        .sender = sender,
        .sender_user = sender_user,
        .received_at = now,
    };
}

struct waiting *inbox_next(void)
{
    if (count - unsent() >= MOST_SENT)
        return NULL;
    for (int i = 0; i < count; i++)
        if (queue[i].sent_at == 0)
            return &queue[i];
    return NULL;
}

void inbox_acknowledge(int64_t sequence)
{
    while (count > 0 && queue[0].sent_at != 0 && queue[0].sequence <= sequence)
        remove_at(0);
}

void inbox_send_again(void)
{
    for (int i = 0; i < count; i++)
        queue[i].sent_at = 0;
}

const struct waiting *inbox_stop(void)
{
    for (int i = 0; i < count; i++)
        if (inbox_is_stop(queue[i].number))
            return &queue[i];
    return NULL;
}

bool inbox_is_stop(int number)
{
    return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}
