/* GET /stream: 12 lines over 3 s. */
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { LINES = 12 };

static void ask(struct slot *slot) {
  char text[256];
  int length = snprintf(text, sizeof text, "GET /stream HTTP/1.1\r\nHost: load\r\nX-Request-Id: %s\r\nConnection: close\r\n\r\n", slot->id);
  slot_write(slot, text, (size_t)length);
}

static bool line(struct slot *slot, const char *text) {
  char wanted[64];
  slot->deadline = now_ns() + timeout_ns;
  if (slot->lines < LINES) snprintf(wanted, sizeof wanted, "%s %u", slot->id, slot->lines);
  else snprintf(wanted, sizeof wanted, "end %s", slot->id);
  return slot->lines++ <= LINES && strcmp(text, wanted) == 0;
}

static bool whole(struct slot *slot) { return slot->lines == LINES + 1; }

const struct mode mode_stream = {.name = "stream", .lasting = true, .ask = ask, .line = line, .whole = whole};
