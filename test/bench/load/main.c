/* load [--seconds N] [--timeout-ms N] MODE,TARGET,RATE,CONNECTIONS...
 *   MODE         new       a connection per request
 *                keep      keep-alive
 *                post      a body in 8 pieces over 1 to 2 s
 *                stream    a response that takes 3 s
 *                upgraded  `Upgrade: echo`, a line each 200 ms for 3 s
 *   TARGET       127.0.0.1:8080 or unix:/path
 *   RATE         requests begun each second
 *   CONNECTIONS  at most so many at once
 * Runs until SIGTERM, until stdin ends, or N seconds; what is under way then may finish. Lines on stdin, instants in ns of CLOCK_MONOTONIC:
 *   window NS          latencies from now on are those of an upgrade
 *   drain NS           of the time in which what was replaced still drains
 *   steady NS          of neither
 *   generation G NS    connections opened after NS are answered by generation G or a later one
 * Prints one line of JSON. Every response is 200 (101), names its generation in x-generation, repeats x-request-id, and its body is
 *   /plain  "plain ID"      /post  "post ID BYTES"      /stream  "ID 0" ... "ID 11", "end ID"      /upgraded  the lines sent; "bye" before it leaves
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct job jobs[MOST_JOBS];
static unsigned job_count, slot_count;
static struct slot *slots;
static volatile sig_atomic_t told_to_stop;
int64_t timeout_ns = 10 * SECOND;
bool stopping;

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void on_stop(int signal) {
  (void)signal;
  told_to_stop = 1;
}

static _Noreturn void usage(const char *problem) {
  fprintf(stderr, "load: %s\n", problem);
  exit(64);
}

static void address_of(struct job *job) {
  struct sockaddr_un *local = (struct sockaddr_un *)&job->address;
  struct sockaddr_in *inet = (struct sockaddr_in *)&job->address;
  if (strncmp(job->target, "unix:", 5) == 0) {
    local->sun_family = AF_UNIX;
    if (strlen(job->target + 5) >= sizeof local->sun_path) usage("the path is too long");
    strcpy(local->sun_path, job->target + 5);
    job->length = sizeof *local;
    return;
  }
  char host[64];
  const char *colon = strrchr(job->target, ':');
  if (colon == NULL || (size_t)(colon - job->target) >= sizeof host) usage("a target is HOST:PORT or unix:PATH");
  snprintf(host, sizeof host, "%.*s", (int)(colon - job->target), job->target);
  inet->sin_family = AF_INET;
  inet->sin_port = htons((uint16_t)atoi(colon + 1));
  if (inet_pton(AF_INET, host, &inet->sin_addr) != 1) usage("the host of a target is an IPv4 address");
  job->length = sizeof *inet;
}

static void add_job(char *words) {
  static const struct mode *const modes[] = {&mode_new, &mode_keep, &mode_post, &mode_stream, &mode_upgraded};
  if (job_count == MOST_JOBS) usage("too many jobs");
  struct job *job = &jobs[job_count++];
  char *mode = strtok(words, ","), *target = strtok(NULL, ","), *rate = strtok(NULL, ","), *connections = strtok(NULL, ",");
  if (connections == NULL) usage("a job is MODE,TARGET,RATE,CONNECTIONS");
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(modes[i]->name, mode) == 0) job->mode = modes[i];
  if (job->mode == NULL) usage("modes are new, keep, post, stream, upgraded");
  job->target = target;
  job->rate = atof(rate);
  job->connections = (unsigned)atoi(connections);
  if (job->rate <= 0 || job->rate > 1e6) usage("a rate is more than 0 and at most 1,000,000");
  if (job->connections == 0 || job->connections > MOST_SLOTS) usage("connections are 1 to 4096");
  job->step = (int64_t)(1e9 / job->rate);
  slot_count += job->connections;
  address_of(job);
}

/* Begins what is due. @returns when the next one is */
static int64_t begin_due(struct job *job, int64_t now) {
  if (now - job->due > SECOND) {
    uint64_t missed = (uint64_t)((now - job->due) / job->step);
    job->skipped += missed;
    job->due += (int64_t)missed * job->step;
  }
  while (job->due <= now) {
    struct slot *free = NULL;
    for (unsigned i = 0; i < job->connections && free == NULL; i++) {
      struct slot *slot = &job->slots[job->turn++ % job->connections];
      if (slot->state == FREE || slot->state == IDLE) free = slot;
    }
    /* latencies count from when it was due, so waiting is not hidden */
    if (free == NULL || !slot_begin(free, job->due)) return now + MS;
    job->due += job->step;
  }
  return job->due;
}

static void obey(const char *line) {
  long long number, at;
  if (sscanf(line, "window %lld", &at) == 1) count_stage(WINDOW, at);
  else if (sscanf(line, "drain %lld", &at) == 1) count_stage(DRAIN, at);
  else if (sscanf(line, "steady %lld", &at) == 1) count_stage(STEADY, at);
  else if (sscanf(line, "generation %lld %lld", &number, &at) == 2) count_generation(number, at);
  else fprintf(stderr, "load: a line that means nothing: %s\n", line);
}

static void read_orders(void) {
  static char text[1024];
  static size_t length;
  ssize_t got = read(0, text + length, sizeof text - 1 - length);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) told_to_stop = 1;
  if (got <= 0) return;
  length += (size_t)got;
  text[length] = '\0';
  char *from = text;
  for (char *end; (end = strchr(from, '\n')) != NULL; from = end + 1) {
    *end = '\0';
    obey(from);
  }
  length -= (size_t)(from - text);
  memmove(text, from, length);
  if (length == sizeof text - 1) length = 0;
}

static bool anything_under_way(void) {
  for (unsigned i = 0; i < slot_count; i++)
    if (slots[i].state == CONNECTING || slots[i].state == ASKING) return true;
  return false;
}

int main(int argc, char **argv) {
  double seconds = 3600;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) seconds = atof(argv[++i]);
    else if (strcmp(argv[i], "--timeout-ms") == 0 && i + 1 < argc) timeout_ns = atoll(argv[++i]) * MS;
    else add_job(argv[i]);
  }
  if (job_count == 0) usage("no job was given");
  if (slot_count > MOST_SLOTS) usage("connections are 4096 at most in all");
  slots = calloc(slot_count, sizeof *slots);
  if (slots == NULL) return 1;
  int64_t began = now_ns(), sweep = 0;
  struct slot *next = slots;
  for (unsigned i = 0; i < job_count; i++) {
    jobs[i].slots = next;
    next += jobs[i].connections;
    /* jobs of the same rate do not begin at the same instants */
    jobs[i].due = began + jobs[i].step * (i + 1) / (job_count + 1);
    for (unsigned k = 0; k < jobs[i].connections; k++) jobs[i].slots[k].job = &jobs[i];
  }
  struct sigaction stop = {.sa_handler = on_stop};
  sigaction(SIGTERM, &stop, NULL);
  sigaction(SIGINT, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
  int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (epoll < 0 || timer < 0) return 1;
  connections_start(epoll);
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &(struct epoll_event){.events = EPOLLIN | EPOLLET, .data.ptr = &timer});
  fcntl(0, F_SETFL, O_NONBLOCK);
  /* EPERM: a file, which never has orders */
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &epoll});
  int64_t end = began + (int64_t)(seconds * 1e9), last = INT64_MAX;
  for (;;) {
    int64_t now = now_ns(), wake = now + 10 * MS;
    if (!stopping && (told_to_stop || now >= end)) {
      stopping = true;
      last = now + timeout_ns + 6 * SECOND;
      epoll_ctl(epoll, EPOLL_CTL_DEL, 0, NULL);
    }
    if (stopping && (!anything_under_way() || now >= last)) break;
    for (unsigned i = 0; i < job_count && !stopping; i++) {
      int64_t due = begin_due(&jobs[i], now);
      if (due < wake) wake = due;
    }
    if (now >= sweep) {
      for (unsigned i = 0; i < slot_count; i++) slot_sweep(&slots[i], now);
      sweep = now + 10 * MS;
    }
    struct itimerspec when = {.it_value = {wake / SECOND, wake % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    struct epoll_event events[256];
    int count = epoll_wait(epoll, events, 256, 1000);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr == &epoll) read_orders();
      else if (events[i].data.ptr != &timer) slot_event(events[i].data.ptr);
    }
  }
  for (unsigned i = 0; i < slot_count; i++)
    if (slots[i].state == CONNECTING || slots[i].state == ASKING)
      slot_finish(&slots[i], slots[i].job->mode->lasting ? CUT : UNANSWERED, "still under way at the end");
  count_print(jobs, job_count, began);
  return 0;
}
