/* POST /post with a body that takes 1 to 2 s. */
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 8, PIECE = 512 };

static void ask(struct slot *slot) {
  char text[256];
  int length = snprintf(text, sizeof text,
                        "POST /post HTTP/1.1\r\nHost: load\r\nX-Request-Id: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
                        slot->id, PIECES * PIECE);
  slot_write(slot, text, (size_t)length);
  slot->next = now_ns();
}

static void tick(struct slot *slot, int64_t now) {
  if (slot->pieces == PIECES || now < slot->next || slot->out_length > 0) return;
  char piece[PIECE];
  memset(piece, 'a' + (int)slot->pieces, sizeof piece);
  slot_write(slot, piece, sizeof piece);
  slot->pieces++;
  slot->next = now + (1000 + rand() % 1000) * MS / PIECES;
  slot->deadline = now + timeout_ns;
}

static bool line(struct slot *slot, const char *text) {
  char wanted[64];
  snprintf(wanted, sizeof wanted, "post %s %d", slot->id, PIECES * PIECE);
  return ++slot->lines == 1 && strcmp(text, wanted) == 0;
}

static bool whole(struct slot *slot) { return slot->lines == 1; }

const struct mode mode_post = {.name = "post", .ask = ask, .tick = tick, .line = line, .whole = whole};
