/* HTTP/1.1 responses, as they come: header, then a body of lines (sized, chunked, to the end of the connection, or raw after a 101). */
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void response_reset(struct response *response) {
  memset(response, 0, sizeof *response);
  response->generation = -1;
}

static bool line_byte(struct slot *slot, char byte) {
  struct response *response = &slot->response;
  if (byte != '\n') {
    if (response->line_length >= LINE - 1) return false;
    response->line[response->line_length++] = byte;
    return true;
  }
  response->line[response->line_length] = '\0';
  bool right = slot->job->mode->line(slot, response->line);
  if (right) response->line_length = 0;
  return right;
}

/* @returns the value of a header field, without its end of line; the header ends with an empty line */
static const char *field(const char *head, const char *name, size_t *length) {
  size_t wanted = strlen(name);
  for (const char *at = strstr(head, "\r\n"); at != NULL; at = strstr(at, "\r\n")) {
    at += 2;
    if (strncasecmp(at, name, wanted) != 0 || at[wanted] != ':') continue;
    at += wanted + 1;
    at += strspn(at, " \t");
    *length = strcspn(at, "\r\n");
    return at;
  }
  return NULL;
}

static bool head_is_right(struct slot *slot) {
  struct response *response = &slot->response;
  const char *head = response->head, *value;
  size_t length;
  if (strncmp(head, "HTTP/1.", 7) != 0) return false;
  response->status = (unsigned)strtoul(head + 9, NULL, 10);
  value = field(head, "x-request-id", &length);
  response->same_id = value != NULL && length == strlen(slot->id) && strncmp(value, slot->id, length) == 0;
  value = field(head, "x-generation", &length);
  if (value != NULL) response->generation = atoll(value);
  value = field(head, "connection", &length);
  response->closes = value != NULL && strncasecmp(value, "close", 5) == 0;
  if ((response->status != 200 && response->status != 101) || !response->same_id) return false;
  if (!count_generation_fits(slot)) return false;
  if (response->status == 101) response->part = RAW;
  else if ((value = field(head, "transfer-encoding", &length)) != NULL) response->part = CHUNK_SIZE;
  else if ((value = field(head, "content-length", &length)) != NULL) {
    response->left = strtoull(value, NULL, 10);
    response->part = response->left == 0 ? WHOLE : SIZED;
  } else {
    response->part = TO_THE_END;
    response->closes = true;
  }
  return true;
}

static bool head_byte(struct slot *slot, char byte) {
  struct response *response = &slot->response;
  if (response->head_length >= sizeof response->head - 1) return false;
  response->head[response->head_length++] = byte;
  response->head[response->head_length] = '\0';
  if (byte != '\n' || response->head_length < 4) return true;
  if (memcmp(response->head + response->head_length - 4, "\r\n\r\n", 4) != 0) return true;
  return head_is_right(slot);
}

static bool chunk_size_byte(struct response *response, char byte) {
  if (byte == '\n') {
    response->part = response->left == 0 ? TRAILER : CHUNK;
    response->head_length = 0;
    return true;
  }
  if (byte == '\r') return true;
  const char *digits = "0123456789abcdef", *digit = strchr(digits, byte | 0x20);
  if (byte == '\0' || digit == NULL || response->left > UINT32_MAX) return false;
  response->left = response->left * 16 + (uint64_t)(digit - digits);
  return true;
}

static bool feed_byte(struct slot *slot, char byte) {
  struct response *response = &slot->response;
  switch (response->part) {
    case HEAD:
      return head_byte(slot, byte);
    case SIZED:
      if (!line_byte(slot, byte)) return false;
      if (--response->left == 0) response->part = WHOLE;
      return true;
    case CHUNK_SIZE:
      return chunk_size_byte(response, byte);
    case CHUNK:
      if (!line_byte(slot, byte)) return false;
      if (--response->left == 0) response->part = CHUNK_END;
      return true;
    case CHUNK_END:
      if (byte == '\n') response->part = CHUNK_SIZE;
      return byte == '\n' || byte == '\r';
    case TRAILER:
      if (byte == '\n') response->part = WHOLE;
      return byte == '\n' || byte == '\r';
    case TO_THE_END:
      return line_byte(slot, byte);
    case RAW:
      if (!line_byte(slot, byte)) return false;
      if (slot->done) response->part = WHOLE;
      return true;
    case WHOLE:
      /* more than was announced; but a line that was under way when "bye" was said comes back behind it */
      return response->status == 101;
  }
  return false;
}

bool response_feed(struct slot *slot, const char *bytes, size_t length, bool eof) {
  for (size_t i = 0; i < length; i++)
    if (!feed_byte(slot, bytes[i])) return false;
  if (eof && slot->response.part == TO_THE_END) slot->response.part = WHOLE;
  return true;
}
