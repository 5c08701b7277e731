#ifndef PINGORA_ENTRY_INBOX_H
#define PINGORA_ENTRY_INBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* 64 to be sent, and as many under way: there are fewer signals than that, so a full queue has two equal ones */
enum { INBOX_MOST_UNSENT = 64, INBOX_MOST_SENT = 64, INBOX_MOST = INBOX_MOST_UNSENT + INBOX_MOST_SENT };

struct waiting {
    int64_t sequence;
    int number;
    pid_t sender;
    uid_t sender_user;
    int64_t received_at;
    int64_t sent_at; /* 0: not yet */
};

/* Signals that the supervisor of a line has not dealt with, in the order of their arrival. */
struct inbox {
    struct waiting queue[INBOX_MOST];
    int count;
    int64_t last_sequence;
};

struct state;
void inbox_visit(struct state *state, struct waiting *waiting);
/* Room for one more, at the end; NULL when it is full. */
struct waiting *inbox_restore(struct inbox *inbox);

/* Equal ones are merged when too many wait: none of another number is ever lost. */
void inbox_add(struct inbox *inbox, int number, pid_t sender, uid_t sender_user, int64_t now);

/* The first that was not sent, NULL when there is none, or when enough are under way. */
struct waiting *inbox_next(struct inbox *inbox);

void inbox_acknowledge(struct inbox *inbox, int64_t sequence);

/* The supervisor is dead: what it did not acknowledge is sent to the next one. */
void inbox_send_again(struct inbox *inbox);

/* The oldest TERM, INT or QUIT; NULL when none waits. */
const struct waiting *inbox_stop(const struct inbox *inbox);

bool inbox_is_stop(int number);

#endif
