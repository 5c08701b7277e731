/* What was counted, and how it is printed. */
#define _GNU_SOURCE
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[OUTCOMES] = {"ok", "refused", "reset", "unanswered", "wrong", "lost", "cut", "ownFault"};

static struct {
  int64_t at;
  const char *mode;
  enum outcome outcome;
  int64_t generation;
  enum stage stage;
  char detail[80];
} samples[MOST_SAMPLES];
static unsigned sample_count, of_kind[OUTCOMES];

static const char *const stage_names[STAGES] = {"steady", "drain", "window"};
static enum stage stage_now, stage_before;
static int64_t stage_since;

/* The floor in force and the one before it, newest first: a connection is held to what was so when it was opened. */
static struct {
  int64_t generation, at;
} floors[8];

void count_stage(enum stage stage, int64_t at) {
  stage_before = stage_now;
  stage_now = stage;
  stage_since = at;
}

static enum stage stage_of(const struct slot *slot) {
  return slot->due < stage_since && stage_before > stage_now ? stage_before : stage_now;
}

void count_generation(int64_t generation, int64_t at) {
  memmove(floors + 1, floors, sizeof floors - sizeof *floors);
  floors[0].generation = generation;
  floors[0].at = at;
}

bool count_generation_fits(const struct slot *slot) {
  if (slot->response.generation < 0) return false;
  for (size_t i = 0; i < sizeof floors / sizeof *floors; i++)
    if (floors[i].at > 0 && slot->opened >= floors[i].at) return slot->response.generation >= floors[i].generation;
  return true;
}

/* Microseconds; 32 steps for each doubling: 3 % at most. */
static unsigned bucket_of(uint64_t us) {
  if (us < 64) return (unsigned)us;
  unsigned doubling = 63u - (unsigned)__builtin_clzll(us);
  unsigned bucket = 64 + (doubling - 6) * 32 + (unsigned)((us >> (doubling - 5)) & 31);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The most that is in a bucket. */
static uint64_t upper(unsigned bucket) {
  if (bucket < 64) return bucket;
  unsigned doubling = (bucket - 64) / 32 + 6, part = (bucket - 64) % 32;
  return ((32 + (uint64_t)part + 1) << (doubling - 5)) - 1;
}

void count_latency(struct slot *slot, int64_t now) {
  struct job *job = slot->job;
  struct histogram *histogram = &job->latencies[stage_of(slot)];
  uint64_t us = (uint64_t)(now > slot->due ? now - slot->due : 0) / 1000;
  histogram->count++;
  histogram->buckets[bucket_of(us)]++;
  if (us > histogram->most) histogram->most = us;
}

void count_sample(const struct slot *slot, enum outcome outcome, const char *detail) {
  /* a flood of one kind leaves room for the others */
  if (sample_count == MOST_SAMPLES || of_kind[outcome]++ >= MOST_SAMPLES / 4) return;
  unsigned i = sample_count++;
  samples[i].at = now_ns();
  samples[i].mode = slot->job->mode->name;
  samples[i].outcome = outcome;
  samples[i].generation = slot->response.generation;
  samples[i].stage = stage_of(slot);
  size_t length = 0;
  for (; detail[length] != '\0' && length < sizeof samples[i].detail - 1; length++) {
    unsigned char byte = (unsigned char)detail[length];
    samples[i].detail[length] = byte < ' ' || byte > '~' || byte == '"' || byte == '\\' ? ' ' : (char)byte;
  }
  samples[i].detail[length] = '\0';
}

static uint64_t percentile(const struct histogram *histogram, double share) {
  uint64_t wanted = (uint64_t)((double)histogram->count * share), seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    seen += histogram->buckets[i];
    if (seen > wanted) return upper(i) < histogram->most ? upper(i) : histogram->most;
  }
  return histogram->most;
}

static void print_histogram(const char *name, const struct histogram *histogram, bool whole) {
  printf(",\"%s\":{\"count\":%" PRIu64 ",\"p50Us\":%" PRIu64 ",\"p99Us\":%" PRIu64 ",\"maxUs\":%" PRIu64, name, histogram->count,
         percentile(histogram, 0.5), percentile(histogram, 0.99), histogram->most);
  if (whole) {
    printf(",\"buckets\":[");
    const char *comma = "";
    for (unsigned i = 0; i < BUCKETS; i++) {
      if (histogram->buckets[i] == 0) continue;
      printf("%s[%" PRIu64 ",%" PRIu64 "]", comma, upper(i), histogram->buckets[i]);
      comma = ",";
    }
    printf("]");
  }
  printf("}");
}

static void print_counters(const struct job *job) {
  printf("\"sent\":%" PRIu64, job->sent);
  for (int i = 0; i < OUTCOMES; i++) printf(",\"%s\":%" PRIu64, names[i], job->outcomes[i]);
  printf(",\"timedOut\":%" PRIu64 ",\"idleClosed\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"full\":%" PRIu64 ",\"told\":%" PRIu64, job->timed_out,
         job->idle_closed, job->skipped, job->full, job->told);
}

static void add(struct job *all, const struct job *job) {
  all->sent += job->sent;
  for (int i = 0; i < OUTCOMES; i++) all->outcomes[i] += job->outcomes[i];
  all->timed_out += job->timed_out;
  all->idle_closed += job->idle_closed;
  all->skipped += job->skipped;
  all->full += job->full;
  all->told += job->told;
  for (int h = 0; h < STAGES; h++) {
    const struct histogram *from = &job->latencies[h];
    struct histogram *to = &all->latencies[h];
    to->count += from->count;
    if (from->most > to->most) to->most = from->most;
    for (unsigned i = 0; i < BUCKETS; i++) to->buckets[i] += from->buckets[i];
  }
}

void count_print(struct job *jobs, unsigned count, int64_t began) {
  static struct job all;
  for (unsigned i = 0; i < count; i++) add(&all, &jobs[i]);
  printf("{\"seconds\":%.3f,\"total\":{", (double)(now_ns() - began) / 1e9);
  print_counters(&all);
  for (int h = 0; h < STAGES; h++) print_histogram(stage_names[h], &all.latencies[h], true);
  printf("},\"jobs\":[");
  for (unsigned i = 0; i < count; i++) {
    printf("%s{\"mode\":\"%s\",\"target\":\"%s\",", i == 0 ? "" : ",", jobs[i].mode->name, jobs[i].target);
    print_counters(&jobs[i]);
    for (int h = 0; h < STAGES; h++) print_histogram(stage_names[h], &jobs[i].latencies[h], false);
    printf("}");
  }
  printf("],\"samples\":[");
  for (unsigned i = 0; i < sample_count; i++)
    printf("%s{\"atNs\":%" PRId64 ",\"mode\":\"%s\",\"outcome\":\"%s\",\"generation\":%" PRId64 ",\"stage\":\"%s\",\"detail\":\"%s\"}",
           i == 0 ? "" : ",", samples[i].at, samples[i].mode, names[samples[i].outcome], samples[i].generation,
           stage_names[samples[i].stage], samples[i].detail);
  printf("]}\n");
}
