/* An upgraded connection: a line each 200 ms for 3 s, each comes back. A server that has to leave says "bye" first: told, not cut. */
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { LINES = 15 };

static void ask(struct slot *slot) {
  char text[256];
  int length = snprintf(text, sizeof text,
                        "GET /upgraded HTTP/1.1\r\nHost: load\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", slot->id);
  slot_write(slot, text, (size_t)length);
}

static void tick(struct slot *slot, int64_t now) {
  if (slot->response.part != RAW || now < slot->next || slot->pieces > slot->lines || slot->pieces == LINES) return;
  char text[64];
  int length = snprintf(text, sizeof text, "%s %u\n", slot->id, slot->pieces++);
  slot_write(slot, text, (size_t)length);
  slot->next = now + 200 * MS;
  slot->deadline = now + timeout_ns;
}

static bool line(struct slot *slot, const char *text) {
  char wanted[64];
  if (slot->response.part != RAW) return false;
  if (strcmp(text, "bye") == 0) {
    slot->told = slot->done = true;
    return true;
  }
  snprintf(wanted, sizeof wanted, "%s %u", slot->id, slot->lines++);
  slot->done = slot->lines == LINES || stopping;
  return strcmp(text, wanted) == 0;
}

static bool whole(struct slot *slot) { return slot->done; }

const struct mode mode_upgraded = {.name = "upgraded", .lasting = true, .ask = ask, .tick = tick, .line = line, .whole = whole};
