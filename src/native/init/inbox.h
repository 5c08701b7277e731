#ifndef PINGORA_ENTRY_INBOX_H
#define PINGORA_ENTRY_INBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Signals that the supervisor has not dealt with, in the order of their arrival. */
struct waiting {
    int64_t sequence;
    int number;
    pid_t sender;
    uid_t sender_user;
    int64_t received_at;
    int64_t sent_at; /* 0: not yet */
};

/* Equal ones are merged when too many wait: none of another number is ever lost. */
void inbox_add(int number, pid_t sender, uid_t sender_user, int64_t now);

/* The first that was not sent, NULL when there is none, or when enough are under way. */
struct waiting *inbox_next(void);

void inbox_acknowledge(int64_t sequence);

/* The supervisor is dead: what it did not acknowledge is sent to the next one. */
void inbox_send_again(void);

/* The oldest TERM, INT or QUIT; NULL when none waits. */
const struct waiting *inbox_stop(void);

bool inbox_is_stop(int number);

#endif
