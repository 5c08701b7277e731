/* Connections: opening, writing, reading, and what it means when one breaks. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int epoll = -1;
static uint64_t ids;

void connections_start(int fd) { epoll = fd; }

void slot_close(struct slot *slot) {
  if (slot->fd > 0) close(slot->fd);
  slot->fd = -1;
  slot->state = FREE;
}

void slot_finish(struct slot *slot, enum outcome outcome, const char *detail) {
  struct job *job = slot->job;
  job->outcomes[outcome]++;
  if (outcome != OK) count_sample(slot, outcome, detail);
  if (outcome == OK) {
    slot->answered++;
    if (job->mode->timed) count_latency(slot, now_ns());
    if (slot->told) job->told++;
    if (job->mode->reuses && !slot->response.closes) {
      slot->state = IDLE;
      return;
    }
  }
  slot_close(slot);
}

/* `error` 0: the server closed. */
static void broke(struct slot *slot, int error) {
  struct job *job = slot->job;
  const struct response *response = &slot->response;
  const char *detail = error == 0 ? "closed" : strerrorname_np(error);
  if (slot->write_error != 0 && error == 0) error = slot->write_error;
  if (slot->state == IDLE) {
    job->idle_closed++;
    slot_close(slot);
  } else if (slot->state == CONNECTING && (error == ECONNREFUSED || error == ENOENT)) {
    slot_finish(slot, REFUSED, detail);
  } else if (error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM) {
    slot_finish(slot, OWN_FAULT, detail);
  } else if (job->mode->lasting && response->part != HEAD) {
    slot_finish(slot, CUT, detail);
  } else if (job->mode->reuses && slot->answered > 0 && !response->any) {
    slot_finish(slot, LOST, detail);
  } else {
    slot_finish(slot, error == ECONNRESET || error == EPIPE ? RESET : UNANSWERED, detail);
  }
}

static void flush(struct slot *slot) {
  while (slot->out_sent < slot->out_length && slot->write_error == 0) {
    ssize_t sent = send(slot->fd, slot->out + slot->out_sent, slot->out_length - slot->out_sent, MSG_NOSIGNAL);
    if (sent >= 0) slot->out_sent += (size_t)sent;
    else if (errno == EAGAIN) return;
    /* an answer may have come before the server closed: reading says so */
    else if (errno != EINTR) slot->write_error = errno;
  }
  if (slot->out_sent == slot->out_length) slot->out_sent = slot->out_length = 0;
}

void slot_write(struct slot *slot, const char *bytes, size_t length) {
  if (slot->out_length + length > sizeof slot->out) return;
  memcpy(slot->out + slot->out_length, bytes, length);
  slot->out_length += length;
  if (slot->state == ASKING) flush(slot);
}

/* A source of its own out of 127.0.0.0/8 now and then: ports that wait for their last packets do not run out. */
static void spread_sources(int fd, const struct job *job) {
  const struct sockaddr_in *to = (const struct sockaddr_in *)&job->address;
  if (job->address.ss_family != AF_INET || (ntohl(to->sin_addr.s_addr) >> 24) != 127) return;
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101u + (uint32_t)(ids % 64))};
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
  if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) return;
}

static bool open_connection(struct slot *slot) {
  struct job *job = slot->job;
  slot->fd = socket(job->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  slot->opened = now_ns();
  slot->answered = 0;
  slot->state = CONNECTING;
  if (slot->fd < 0) {
    broke(slot, errno);
    return true;
  }
  spread_sources(slot->fd, job);
  if (job->address.ss_family == AF_INET) setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(slot->fd, (struct sockaddr *)&job->address, job->length) == 0) slot->state = ASKING;
  else if (errno == EAGAIN && job->address.ss_family == AF_UNIX) {
    job->full++;
    slot_close(slot);
    return false;
  } else if (errno != EINPROGRESS) {
    broke(slot, errno);
    return true;
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = slot};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, slot->fd, &event) != 0) broke(slot, errno);
  return true;
}

bool slot_begin(struct slot *slot, int64_t due) {
  int64_t now = now_ns();
  bool reused = slot->state == IDLE;
  snprintf(slot->id, sizeof slot->id, "%x-%llu", (unsigned)getpid(), (unsigned long long)++ids);
  slot->due = due;
  slot->deadline = now + timeout_ns;
  slot->next = 0;
  slot->lines = slot->pieces = 0;
  slot->done = slot->told = false;
  slot->write_error = 0;
  slot->out_length = slot->out_sent = 0;
  response_reset(&slot->response);
  if (!reused) {
    uint64_t failed = 0;
    for (int i = 1; i < OUTCOMES; i++) failed -= slot->job->outcomes[i];
    if (!open_connection(slot)) return false;
    for (int i = 1; i < OUTCOMES; i++) failed += slot->job->outcomes[i];
    slot->job->sent++;
    /* broken at once: that was the request */
    if (failed != 0) return true;
  } else {
    slot->job->sent++;
    slot->state = ASKING;
  }
  slot->job->mode->ask(slot);
  return true;
}

static void read_all(struct slot *slot) {
  static char bytes[16384];
  while (slot->state == ASKING || slot->state == IDLE) {
    ssize_t got = recv(slot->fd, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      if (slot->write_error != 0 && slot->state == ASKING) broke(slot, slot->write_error);
      return;
    }
    if (got > 0 && slot->state == IDLE) {
      /* an answer nobody asked for, such as a 408 before a close */
      broke(slot, 0);
      return;
    }
    int error = got < 0 ? errno : 0;
    if (got > 0) slot->response.any = true;
    if (error == 0 && slot->state == ASKING && !response_feed(slot, bytes, (size_t)(got > 0 ? got : 0), got == 0)) {
      slot->response.line[slot->response.line_length < LINE ? slot->response.line_length : LINE - 1] = '\0';
      slot_finish(slot, WRONG, slot->response.part == HEAD ? slot->response.head : slot->response.line);
    } else if (slot->state == ASKING && slot->response.part == WHOLE) {
      if (slot->job->mode->whole(slot)) slot_finish(slot, OK, "");
      else slot_finish(slot, WRONG, "the body is not whole");
    } else if (got <= 0 && slot->state != FREE) {
      broke(slot, error);
    }
    if (got <= 0) return;
  }
}

void slot_event(struct slot *slot) {
  if (slot->state == FREE) return;
  if (slot->state == CONNECTING) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      broke(slot, error);
      return;
    }
    struct sockaddr_storage peer;
    length = sizeof peer;
    if (getpeername(slot->fd, (struct sockaddr *)&peer, &length) != 0) return;
    slot->state = ASKING;
  }
  if (slot->state == ASKING) flush(slot);
  read_all(slot);
}

void slot_sweep(struct slot *slot, int64_t now) {
  if (slot->state != CONNECTING && slot->state != ASKING) return;
  if (now >= slot->deadline) {
    slot->job->timed_out++;
    bool cut = slot->job->mode->lasting && slot->response.part != HEAD;
    slot_finish(slot, cut ? CUT : UNANSWERED, slot->state == CONNECTING ? "no connection in time" : "no answer in time");
    return;
  }
  if (slot->state == ASKING && slot->job->mode->tick != NULL) slot->job->mode->tick(slot, now);
  /* an edge may have told of what came while it was written */
  if (slot->state == ASKING && slot->write_error != 0) read_all(slot);
}
