#ifndef PINGORA_ENTRY_REPORT_H
#define PINGORA_ENTRY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/*
 * What the supervisor is told. Nothing is queued as a frame: answers are given one at a time, the next order is not read before they are
 * sent, and events are read from the tables when there is room. So a supervisor that does not read costs no memory.
 */

/* Who we are, for WELCOME. */
void report_init(bool is_pid1);

/* A supervisor says HELLO: WELCOME, then all that is known, then SYNCED. */
void report_hello(unsigned restarts);
/* It is gone: nothing is owed to it. */
void report_lost(void);
bool report_has_greeted(void);
/* This supervisor or an earlier one. */
bool report_has_ever_greeted(void);

/* From now on signals are told, too. */
void report_ready(void);
bool report_is_ready(void);

/* The answer to the order at hand; one at most for each. */
void report_answer(const struct frame_text *text);

/* One more orphan was reaped. */
void report_orphan(void);

/* Sends what there is room for. True when the socket should be waited for to become writable. */
bool report_flush(int64_t now);

/* An answer or the greeting is under way: no order is read. */
bool report_is_busy(void);

/* When report_flush wants to be called again on its own; INT64_MAX: never. */
int64_t report_deadline(void);

#endif
