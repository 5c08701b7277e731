#define _GNU_SOURCE
#include "replace.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "early.h"
#include "frame.h"
#include "line.h"
#include "number.h"
#include "report.h"
#include "say.h"
#include "snapshot.h"
#include "spawn.h"
#include "state.h"
#include "version.h"

enum { ANSWER_MS = 5000 };

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#endif

static char *const *environment;
static void (*watch)(int pipe, bool on);

/* The check that is under way; `path` is empty when there is none. */
static char path[PATH_MAX];
static struct stat looked_at;
static pid_t checker; /* 0: it has ended */
static int answer_pipe = -1;
static char answer[512];
static size_t answer_length;
static int64_t deadline;

/* Who asked. */
static int asked_by;
static unsigned asked_by_restart;

void replace_init(char *const given[], void (*watch_pipe)(int pipe, bool on))
{
    environment = given;
    watch = watch_pipe;
}

static void tell(const char *verb, const char *first, const char *second)
{
    struct frame_text text;
    struct line *line = line_by_number(asked_by);
    if (line == NULL)
        return;
    frame_begin(&text, verb);
    frame_add(&text, first);
    if (second != NULL)
        frame_add(&text, second);
    report_answer_later(line, asked_by_restart, LATE_REPLACE, &text);
}

/* A file that PID 1 may be tried with: no script, whose interpreter would be PID 1, and nothing for another machine. */
static const char *look_at(const char *file, struct stat *status)
{
    Elf64_Ehdr header;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    ssize_t length = fstat(fd, status) < 0 || !S_ISREG(status->st_mode) ? -1 : read(fd, &header, sizeof header);
    close(fd);
    if (length < 0)
        return "it is no file";
    if (status->st_mode & (S_ISUID | S_ISGID))
        return "it is setuid or setgid";
    if (access(file, X_OK) < 0)
        return "it is not executable";
    if (length < (ssize_t)sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
        return "it is no program of this machine: no 64-bit ELF file";
    if (header.e_machine != MACHINE || (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return "it is no program of this machine: built for another one";
    return NULL;
}

static _Noreturn void be_checker(int memory, int pipe, pid_t init)
{
    static const char option[] = "--state-version";
    char *const arguments[] = {path, (char *)option, NULL};
    setsid();
    if (init != 1)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    spawn_restore();
    if (dup2(memory, STDIN_FILENO) >= 0 && dup2(pipe, STDOUT_FILENO) >= 0) {
        early_set_mask(0);
        execve(path, arguments, environment);
    }
    dprintf(pipe, "!%s", strerror(errno));
    _exit(EXIT_CANNOT_EXECUTE);
}

static const char *start_checker(int64_t now)
{
    int ends[2], memory = snapshot_make();
    if (memory < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        int error = errno;
        if (memory >= 0)
            close(memory);
        return strerror(error);
    }
    pid_t init = getpid(), forked = fork();
    if (forked == 0)
        be_checker(memory, ends[1], init);
    int error = errno;
    close(memory);
    close(ends[1]);
    if (forked < 0) {
        close(ends[0]);
        return strerror(error);
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    checker = forked;
    answer_pipe = ends[0];
    answer_length = 0;
    deadline = now + ANSWER_MS;
    watch(answer_pipe, true);
    return NULL;
}

const char *replace_begin(struct line *line, const char *file, int64_t now)
{
    if (path[0] != '\0')
        return "one is under way";
    if (file[0] != '/' || strlen(file) >= sizeof path)
        return "an absolute path is needed";
    const char *problem = look_at(file, &looked_at);
    if (problem != NULL)
        return problem;
    strcpy(path, file);
    asked_by = line->number;
    asked_by_restart = line->report.restarts;
    problem = start_checker(now);
    if (problem != NULL)
        path[0] = '\0';
    return problem;
}

static void close_pipe(void)
{
    watch(answer_pipe, false);
    close(answer_pipe);
    answer_pipe = -1;
}

void replace_answered(void)
{
    char rest[64];
    while (answer_pipe >= 0) {
        size_t room = sizeof answer - 1 - answer_length;
        ssize_t length = room > 0 ? read(answer_pipe, answer + answer_length, room) : read(answer_pipe, rest, sizeof rest);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0)
            close_pipe();
        else if (room > 0)
            answer_length += (size_t)length;
    }
}

bool replace_reap(pid_t pid)
{
    if (pid != checker || pid == 0)
        return false;
    checker = 0;
    return true;
}

/* NULL when the answer is that our state can be read. */
static const char *judge(void)
{
    static char problem[sizeof answer + 64];
    struct frame frame;
    int64_t least, newest;
    if (answer_length > 1 && answer[0] == '!') {
        answer[answer_length] = '\0';
        return answer + 1;
    }
    if (!frame_open(&frame, answer, answer_length) || strcmp(frame.verb, "STATE-VERSION") != 0 ||
        !frame_take_number(&frame, 0, INT32_MAX, &least) || !frame_take_number(&frame, 0, INT32_MAX, &newest) || frame_take(&frame) == NULL)
        return "it does not answer as an init that can take over";
    const char *verdict = frame_take(&frame);
    if (verdict != NULL && verdict[0] == '\0')
        return NULL;
    snprintf(problem, sizeof problem, "it cannot read version %d of the state (%s), it reads %d to %d", STATE_VERSION,
             verdict == NULL ? "?" : verdict, (int)least, (int)newest);
    return problem;
}

static const char *execute_it(void)
{
    static const char option[] = "--resume";
    char digits[24];
    char *const arguments[] = {path, (char *)option, digits, NULL};
    struct stat status;
    int memory = snapshot_make();
    if (memory < 0)
        return strerror(errno);
    number_print(memory, digits);
    const char *problem = look_at(path, &status);
    if (problem == NULL && (status.st_dev != looked_at.st_dev || status.st_ino != looked_at.st_ino || status.st_size != looked_at.st_size ||
                            memcmp(&status.st_mtim, &looked_at.st_mtim, sizeof status.st_mtim) != 0))
        problem = "it has changed since it was looked at";
    if (problem == NULL) {
        if (snapshot_let_through() && fcntl(memory, F_SETFD, 0) == 0)
            execve(path, arguments, environment);
        problem = strerror(errno);
        descriptors_inherit_none();
    }
    close(memory);
    return problem;
}

static void give_up(const char *problem)
{
    say("this program is not replaced by \"%s\": %s", path, problem);
    path[0] = '\0';
    tell("ERROR", "REPLACE", problem);
}

void replace_turn(int64_t now)
{
    if (path[0] == '\0')
        return;
    if (now >= deadline && (checker != 0 || answer_pipe >= 0)) {
        /* whoever has the other end of the pipe now */
        if (checker != 0)
            kill(checker, SIGKILL);
        if (answer_pipe >= 0)
            close_pipe();
        give_up("it did not answer in 5 s");
        return;
    }
    if (checker != 0 || answer_pipe >= 0)
        return;
    const char *problem = judge();
    if (problem == NULL)
        problem = execute_it();
    give_up(problem);
}

int64_t replace_deadline(void)
{
    return path[0] == '\0' ? INT64_MAX : checker == 0 && answer_pipe < 0 ? 0 : deadline;
}

int replace_answer(void)
{
    struct frame_text text;
    struct stat status;
    const char *wrong = NULL;
    if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
        wrong = snapshot_read_file(STDIN_FILENO);
    frame_begin(&text, "STATE-VERSION");
    frame_add_number(&text, STATE_LEAST_VERSION);
    frame_add_number(&text, STATE_VERSION);
    frame_add(&text, PINGORA_ENTRY_VERSION);
    frame_add(&text, wrong == NULL ? "" : wrong);
    return write(STDOUT_FILENO, text.bytes, text.length) == (ssize_t)text.length ? 0 : EXIT_SYSTEM;
}

void replace_done(void)
{
    tell("REPLACED", PINGORA_ENTRY_VERSION, NULL);
}

void replace_visit(struct state *state)
{
    STATE_NUMBER(state, "replaced-for", asked_by, 0, INT32_MAX);
    STATE_NUMBER(state, "replaced-for-restart", asked_by_restart, 0, UINT32_MAX);
}
