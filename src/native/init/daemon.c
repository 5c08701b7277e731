#define _GNU_SOURCE
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "early.h"
#include "say.h"
#include "state.h"

static int caller = -1;

static _Noreturn void wait_for_word(int pipe)
{
    unsigned char code;
    ssize_t length;
    early_set_mask(early_given_mask());
    do
        length = read(pipe, &code, 1);
    while (length < 0 && errno == EINTR);
    if (length == 1 && code == 0)
        _exit(0);
    say("the daemon ended before it was ready; \"pingora-entry check\" with the same options may say why");
    _exit(length == 1 ? code : EXIT_SYSTEM);
}

/* A file was meant for the daemon; a terminal is not, and who reads a pipe waits for its end. */
static bool is_for_daemon(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static void leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (!is_for_daemon(fd))
            dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

bool daemon_detach(void)
{
    int ends[2];
    pid_t first = pipe2(ends, O_CLOEXEC) < 0 ? -1 : fork();
    if (first < 0) {
        say("cannot detach: %s", strerror(errno));
        return false;
    }
    if (first > 0) {
        close(ends[1]);
        wait_for_word(ends[0]);
    }
    close(ends[0]);
    setsid();
    /* no session leader: never again a controlling terminal */
    pid_t second = fork();
    if (second != 0)
        _exit(second < 0 ? EXIT_SYSTEM : 0);
    leave_terminal();
    caller = ends[1];
    return true;
}

static void tell(unsigned char code)
{
    if (caller < 0)
        return;
    ssize_t written = write(caller, &code, 1);
    (void)written;
    close(caller);
    caller = -1;
}

void daemon_tell(bool ready)
{
    if (ready)
        tell(0);
}

void daemon_tell_end(int code)
{
    tell((unsigned char)code);
}

void daemon_visit(struct state *state)
{
    state_fd(state, "daemon", &caller);
}
