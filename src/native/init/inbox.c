#include "inbox.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "state.h"

static int unsent(const struct inbox *inbox)
{
    int number = 0;
    for (int i = 0; i < inbox->count; i++)
        number += inbox->queue[i].sent_at == 0;
    return number;
}

static void remove_at(struct inbox *inbox, int index)
{
    memmove(&inbox->queue[index], &inbox->queue[index + 1], (size_t)(inbox->count - index - 1) * sizeof inbox->queue[0]);
    inbox->count--;
}

/* An unsent entry before `end` with this number; -1 when there is none. */
static int find_unsent(const struct inbox *inbox, int number, int end)
{
    for (int i = 0; i < end; i++)
        if (inbox->queue[i].sent_at == 0 && inbox->queue[i].number == number)
            return i;
    return -1;
}

static void make_room(struct inbox *inbox)
{
    for (int i = inbox->count - 1; i > 0; i--) {
        if (inbox->queue[i].sent_at == 0 && find_unsent(inbox, inbox->queue[i].number, i) >= 0) {
            remove_at(inbox, i);
            return;
        }
    }
}

void inbox_add(struct inbox *inbox, int number, pid_t sender, uid_t sender_user, int64_t now)
{
    if (unsent(inbox) >= INBOX_MOST_UNSENT) {
        if (find_unsent(inbox, number, inbox->count) >= 0)
            return;
        make_room(inbox);
    }
    inbox->queue[inbox->count++] = (struct waiting){
        .sequence = ++inbox->last_sequence,
        .number = number,
        .sender = sender,
        .sender_user = sender_user,
        .received_at = now,
    };
}

struct waiting *inbox_next(struct inbox *inbox)
{
    if (inbox->count - unsent(inbox) >= INBOX_MOST_SENT)
        return NULL;
    for (int i = 0; i < inbox->count; i++)
        if (inbox->queue[i].sent_at == 0)
            return &inbox->queue[i];
    return NULL;
}

void inbox_acknowledge(struct inbox *inbox, int64_t sequence)
{
    while (inbox->count > 0 && inbox->queue[0].sent_at != 0 && inbox->queue[0].sequence <= sequence)
        remove_at(inbox, 0);
}

void inbox_send_again(struct inbox *inbox)
{
    for (int i = 0; i < inbox->count; i++)
        inbox->queue[i].sent_at = 0;
}

const struct waiting *inbox_stop(const struct inbox *inbox)
{
    for (int i = 0; i < inbox->count; i++)
        if (inbox_is_stop(inbox->queue[i].number))
            return &inbox->queue[i];
    return NULL;
}

bool inbox_is_stop(int number)
{
    return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

void inbox_visit(struct state *state, struct waiting *waiting)
{
    STATE_AMOUNT(state, "sequence", waiting->sequence);
    STATE_NUMBER(state, "number", waiting->number, 1, 64);
    STATE_NUMBER(state, "sender", waiting->sender, 0, INT32_MAX);
    STATE_NUMBER(state, "user", waiting->sender_user, 0, UINT32_MAX);
    STATE_AMOUNT(state, "received", waiting->received_at);
    STATE_AMOUNT(state, "sent", waiting->sent_at);
}

struct waiting *inbox_restore(struct inbox *inbox)
{
    if (inbox->count == INBOX_MOST)
        return NULL;
    struct waiting *waiting = &inbox->queue[inbox->count++];
    *waiting = (struct waiting){.number = SIGHUP};
    return waiting;
}
