/* A bounded load on one server: one process, one epoll, no threads. See main.c for how it is called and what it prints. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { MOST_JOBS = 16, MOST_SLOTS = 4096, MOST_SAMPLES = 32, LINE = 128, BUCKETS = 2048 };

#define MS 1000000LL
#define SECOND (1000 * MS)

struct slot;

/* What a job does on its connections. All bodies, and all that comes after a 101, are lines. */
struct mode {
  const char *name;
  /* a connection outlives its request */
  bool reuses;
  /* its latencies count */
  bool timed;
  /* what breaks after the header is a cut, not an unanswered request */
  bool lasting;
  void (*ask)(struct slot *slot);
  /* at every sweep (10 ms) while a request is under way */
  void (*tick)(struct slot *slot, int64_t now);
  /* false: not the expected line */
  bool (*line)(struct slot *slot, const char *line);
  /* the response is complete; false: something is missing */
  bool (*whole)(struct slot *slot);
};

extern const struct mode mode_new, mode_keep, mode_post, mode_stream, mode_upgraded;

enum outcome { OK, REFUSED, RESET, UNANSWERED, WRONG, LOST, CUT, OWN_FAULT, OUTCOMES };

struct histogram {
  uint64_t count, most, buckets[BUCKETS];
};

/* What goes on beside the load; a request that sees two of them belongs to the later one of this list. */
enum stage { STEADY, DRAIN, WINDOW, STAGES };

struct job {
  const struct mode *mode;
  const char *target;
  struct sockaddr_storage address;
  socklen_t length;
  double rate;
  unsigned connections, turn;
  struct slot *slots;
  int64_t due, step;
  /* skipped: not begun because every connection was busy for a second; full: a unix socket's queue was; told: ended early after a word */
  uint64_t sent, outcomes[OUTCOMES], timed_out, idle_closed, skipped, full, told;
  struct histogram latencies[STAGES];
};

enum part { HEAD, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, TO_THE_END, RAW, WHOLE };

struct response {
  enum part part;
  char head[4096];
  size_t head_length;
  uint64_t left;
  unsigned status;
  int64_t generation;
  bool any, same_id, closes, broken;
  char line[LINE];
  size_t line_length;
};

enum state { FREE, CONNECTING, ASKING, IDLE };

struct slot {
  struct job *job;
  int fd;
  enum state state;
  /* due: when the request should have begun; opened: when connect() was called */
  int64_t due, opened, deadline, next;
  char id[24];
  unsigned answered, lines, pieces;
  bool done, told;
  int write_error;
  char out[1024];
  size_t out_length, out_sent;
  struct response response;
};

int64_t now_ns(void);

/* connection.c */
void connections_start(int epoll);
/* false: not now, try again */
bool slot_begin(struct slot *slot, int64_t due);
void slot_event(struct slot *slot);
void slot_sweep(struct slot *slot, int64_t now);
/* Bytes for the server, beyond what is still waiting. */
void slot_write(struct slot *slot, const char *bytes, size_t length);
void slot_finish(struct slot *slot, enum outcome outcome, const char *detail);
void slot_close(struct slot *slot);
extern int64_t timeout_ns;
extern bool stopping;

/* response.c */
void response_reset(struct response *response);
/* false: the answer is wrong in itself; `eof` with no bytes: the server closed */
bool response_feed(struct slot *slot, const char *bytes, size_t length, bool eof);

/* count.c */
void count_stage(enum stage stage, int64_t at);
void count_generation(int64_t generation, int64_t at);
bool count_generation_fits(const struct slot *slot);
void count_latency(struct slot *slot, int64_t now);
void count_sample(const struct slot *slot, enum outcome outcome, const char *detail);
void count_print(struct job *jobs, unsigned count, int64_t began);

#endif
