/* Runs commands in turn, A B C A B C ..., and prints for each run "INDEX NANOSECONDS" from before fork to after wait.
 *   interleave ROUNDS WARMUP COMMAND ARGS... -+- COMMAND ARGS... -+- ...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16 };

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
  char **commands[MOST];
  int count = 0;
  if (argc < 4) return 64;
  commands[count++] = argv + 3;
  for (int i = 3; i < argc && count < MOST; i++) {
    if (strcmp(argv[i], "-+-") != 0) continue;
    argv[i] = NULL;
    commands[count++] = argv + i + 1;
  }
  int rounds = atoi(argv[1]), warmup = atoi(argv[2]), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int round = -warmup; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      long long from = now();
      pid_t pid = vfork();
      if (pid == 0) {
        dup2(null, 1);
        execvp(commands[i][0], commands[i]);
        _exit(127);
      }
      int status;
      waitpid(pid, &status, 0);
      long long took = now() - from;
      if (status != 0) {
        fprintf(stderr, "%s ended with %d\n", commands[i][0], status);
        return 1;
      }
      if (round >= 0) printf("%d %lld\n", i, took);
    }
  }
  return 0;
}
