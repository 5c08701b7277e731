/* GET /plain, on a connection of its own or one that is kept. */
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

static void ask(struct slot *slot) {
  char text[256];
  int length = snprintf(text, sizeof text, "GET /plain HTTP/1.1\r\nHost: load\r\nX-Request-Id: %s\r\n%s\r\n", slot->id,
                        slot->job->mode->reuses ? "" : "Connection: close\r\n");
  slot_write(slot, text, (size_t)length);
}

static bool line(struct slot *slot, const char *text) {
  char wanted[64];
  snprintf(wanted, sizeof wanted, "plain %s", slot->id);
  return ++slot->lines == 1 && strcmp(text, wanted) == 0;
}

static bool whole(struct slot *slot) { return slot->lines == 1; }

const struct mode mode_new = {.name = "new", .timed = true, .ask = ask, .line = line, .whole = whole};
const struct mode mode_keep = {.name = "keep", .reuses = true, .timed = true, .ask = ask, .line = line, .whole = whole};
