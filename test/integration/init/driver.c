/*
 * A supervisor that does what a test tells it: the init starts it as "node", it connects to TEST_SOCKET and takes one order per line, fields
 * separated by tabs, bytes outside of printable ASCII as %XX.
 *
 *   send FDS VERB FIELD...    one frame; FDS are names, separated by commas
 *   big FDS VERB FIELD...     the same in a sealed memfd; `soft`: in an unsealed one
 *   raw FDS BYTES             one datagram as it is
 *   open NAME PATH | lock NAME  a file; flock(LOCK_EX), which waits -> "locked NAME"
 *   lease NAME PATH           whoever opens or executes PATH waits until NAME is dropped
 *   listen NAME | pipe NAME | memfd NAME TEXT | drop NAME
 *   read NAME                 what can be read until the end or for 2 s -> "read NAME TEXT"
 *   deaf | hear               stop and go on reading the channel
 *   shut                      close the channel
 *   flags NAME                -> "flags NAME <FD_CLOEXEC set: 0 or 1>"
 *   exit CODE
 *
 * It says "start PID CHANNEL ARG...", "frame FDS VERB FIELD..." (FDS as NAME=port:N or NAME=text:...), "made NAME PORT", "eof".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST_NAMES = 10000, MOST_FIELDS = 100000 };

static int control, channel = -1;
static int deaf;
static struct {
    char name[64];
    int fd;
} names[MOST_NAMES];
static int name_count, got_count;
static char line_out[1 << 20];
static size_t out_length;
static char *fields[MOST_FIELDS];

static void receive(void);

static void put(int fd, const char *name)
{
    snprintf(names[name_count].name, sizeof names[0].name, "%s", name);
    names[name_count++].fd = fd;
}

static int get(const char *name)
{
    for (int i = name_count - 1; i >= 0; i--)
        if (strcmp(names[i].name, name) == 0)
            return names[i].fd;
    fprintf(stderr, "driver: no fd %s\n", name);
    exit(90);
}

static void out_raw(const char *text)
{
    size_t length = strlen(text);
    memcpy(line_out + out_length, text, length);
    out_length += length;
}

static void out(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 33 || byte > 126 || byte == '%')
            out_length += (size_t)sprintf(line_out + out_length, "%%%02X", byte);
        else
            line_out[out_length++] = (char)byte;
    }
}

static void out_field(const char *text)
{
    out_raw("\t");
    out(text, strlen(text));
}

static void out_number(long number)
{
    char digits[32];
    sprintf(digits, "%ld", number);
    out_field(digits);
}

static void flush_line(void)
{
    out_raw("\n");
    for (size_t at = 0; at < out_length;) {
        ssize_t part = write(control, line_out + at, out_length - at);
        if (part <= 0)
            exit(91);
        at += (size_t)part;
    }
    out_length = 0;
}

static size_t unescape(char *text)
{
    char *to = text;
    for (char *from = text; *from != '\0'; from++) {
        if (*from == '%') {
            char digits[3] = {from[1], from[2], 0};
            *to++ = (char)strtol(digits, NULL, 16);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

static void send_bytes(const char *fds_named, const char *bytes, size_t length, int first_fd)
{
    int fds[256], count = 0;
    if (first_fd >= 0)
        fds[count++] = first_fd;
    char list[16384];
    snprintf(list, sizeof list, "%s", fds_named);
    for (char *rest = list, *name; (name = strsep(&rest, ",")) != NULL;)
        if (*name != '\0')
            fds[count++] = get(name);
    char control_bytes[CMSG_SPACE(sizeof fds)];
    struct iovec piece = {.iov_base = (char *)bytes, .iov_len = length};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count > 0) {
        memset(control_bytes, 0, sizeof control_bytes);
        header.msg_control = control_bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * (size_t)count);
    }
    /* the init reads no order while an answer waits for room: read, too */
    while (sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        struct pollfd look = {.fd = channel, .events = deaf ? POLLOUT : POLLIN | POLLOUT};
        if (errno == EAGAIN) {
            poll(&look, 1, -1);
            if (look.revents & POLLIN)
                receive();
            continue;
        }
        out_raw("send-failed");
        out_field(strerror(errno));
        flush_line();
        return;
    }
}

static void send_frame(char *how, char *fds, size_t count)
{
    static char frame[16 << 20];
    size_t length = 0;
    for (size_t i = 2; i < count; i++) {
        size_t part = unescape(fields[i]);
        memcpy(frame + length, fields[i], part);
        length += part;
        frame[length++] = '\0';
    }
    if (strcmp(how, "send") == 0) {
        send_bytes(fds, frame, length, -1);
        return;
    }
    int memory = memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    for (size_t at = 0; at < length;)
        at += (size_t)write(memory, frame + at, length - at);
    if (strcmp(how, "big") == 0)
        fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    send_bytes(fds, "*", 2, memory);
    close(memory);
}

static void make_listener(const char *name)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0)
        exit(92);
    getsockname(fd, (struct sockaddr *)&address, &size);
    put(fd, name);
    out_raw("made");
    out_field(name);
    out_number(ntohs(address.sin_port));
    flush_line();
}

static void make_pipe(const char *name)
{
    char end[64];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        exit(93);
    snprintf(end, sizeof end, "%s.r", name);
    put(ends[0], end);
    snprintf(end, sizeof end, "%s.w", name);
    put(ends[1], end);
}

static void read_all(const char *name)
{
    static char text[1 << 18];
    size_t length = 0;
    int fd = get(name);
    struct pollfd look = {.fd = fd, .events = POLLIN};
    while (length < sizeof text && poll(&look, 1, 2000) > 0) {
        ssize_t part = read(fd, text + length, sizeof text - length);
        if (part <= 0)
            break;
        length += (size_t)part;
    }
    out_raw("read");
    out_field(name);
    out_raw("\t");
    out(text, length);
    flush_line();
}

static void obey(char *line)
{
    size_t count = 0;
    for (char *rest = line, *field; (field = strsep(&rest, "\t")) != NULL;)
        fields[count++] = field;
    char *order = fields[0], *name = count > 1 ? fields[1] : "";
    if (strcmp(order, "send") == 0 || strcmp(order, "big") == 0 || strcmp(order, "soft") == 0) {
        send_frame(order, name, count);
    } else if (strcmp(order, "raw") == 0) {
        size_t length = unescape(fields[2]);
        send_bytes(name, fields[2], length, -1);
    } else if (strcmp(order, "listen") == 0) {
        make_listener(name);
    } else if (strcmp(order, "open") == 0) {
        int fd = open(fields[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            exit(97);
        put(fd, name);
    } else if (strcmp(order, "lock") == 0) {
        flock(get(name), LOCK_EX);
        out_raw("locked");
        out_field(name);
        flush_line();
    } else if (strcmp(order, "lease") == 0) {
        int fd = open(fields[2], O_RDWR | O_CLOEXEC);
        signal(SIGIO, SIG_IGN);
        if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
            exit(96);
        put(fd, name);
    } else if (strcmp(order, "pipe") == 0) {
        make_pipe(name);
    } else if (strcmp(order, "memfd") == 0) {
        int fd = memfd_create("state", MFD_CLOEXEC);
        size_t length = unescape(fields[2]);
        if (write(fd, fields[2], length) != (ssize_t)length)
            exit(94);
        put(fd, name);
    } else if (strcmp(order, "drop") == 0) {
        for (int i = 0; i < name_count; i++)
            if (strcmp(names[i].name, name) == 0) {
                close(names[i].fd);
                names[i].name[0] = '\0';
            }
    } else if (strcmp(order, "read") == 0) {
        read_all(name);
    } else if (strcmp(order, "flags") == 0) {
        out_raw("flags");
        out_field(name);
        out_number(fcntl(get(name), F_GETFD) & FD_CLOEXEC);
        flush_line();
    } else if (strcmp(order, "deaf") == 0) {
        deaf = 1;
    } else if (strcmp(order, "hear") == 0) {
        deaf = 0;
    } else if (strcmp(order, "shut") == 0) {
        close(channel);
        channel = -1;
    } else if (strcmp(order, "exit") == 0) {
        exit(atoi(name));
    }
}

static void say_frame(const char *bytes, size_t length, const int *fds, int count)
{
    out_raw("frame\t");
    for (int i = 0; i < count; i++) {
        char name[64];
        struct stat status;
        sprintf(name, "got%d", ++got_count);
        put(fds[i], name);
        if (i > 0)
            out_raw(",");
        out_raw(name);
        fstat(fds[i], &status);
        if (S_ISSOCK(status.st_mode)) {
            struct sockaddr_in address = {0};
            socklen_t size = sizeof address;
            char port[32];
            getsockname(fds[i], (struct sockaddr *)&address, &size);
            sprintf(port, "=port:%d", ntohs(address.sin_port));
            out_raw(port);
        } else if (S_ISREG(status.st_mode)) {
            static char text[1 << 18];
            ssize_t size = pread(fds[i], text, sizeof text, 0);
            out_raw("=text:");
            out(text, size < 0 ? 0 : (size_t)size);
        }
    }
    for (size_t at = 0; at < length; at += strlen(bytes + at) + 1)
        out_field(bytes + at);
    flush_line();
}

static void receive(void)
{
    static char bytes[70000];
    char control_bytes[CMSG_SPACE(sizeof(int) * 64)];
    struct iovec piece = {.iov_base = bytes, .iov_len = sizeof bytes - 1};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control_bytes, .msg_controllen = sizeof control_bytes};
    ssize_t length = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
    if (length <= 0) {
        out_raw("eof");
        flush_line();
        exit(0);
    }
    bytes[length] = '\0';
    int fds[64], count = 0;
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    if (part != NULL && part->cmsg_type == SCM_RIGHTS) {
        count = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(part), sizeof(int) * (size_t)count);
    }
    say_frame(bytes, (size_t)length, fds, count);
}

int main(int argc, char **argv)
{
    static char line[16 << 20];
    size_t length = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", getenv("TEST_SOCKET"));
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(control, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("driver: TEST_SOCKET");
        return 95;
    }
    const char *number = getenv("PINGORA_ENTRY_CHANNEL");
    channel = number == NULL ? -1 : atoi(number);
    out_raw("start");
    out_number(getpid());
    out_number(channel);
    for (int i = 1; i < argc; i++)
        out_field(argv[i]);
    flush_line();
    if (channel >= 0)
        fcntl(channel, F_SETFD, FD_CLOEXEC);
    for (;;) {
        struct pollfd look[] = {{.fd = control, .events = POLLIN}, {.fd = deaf ? -1 : channel, .events = POLLIN}};
        if (poll(look, 2, -1) < 0)
            continue;
        if (look[1].revents)
            receive();
        if (!look[0].revents)
            continue;
        ssize_t part = read(control, line + length, sizeof line - length);
        if (part <= 0)
            return 0;
        length += (size_t)part;
        for (char *end; (end = memchr(line, '\n', length)) != NULL;) {
            *end = '\0';
            size_t used = (size_t)(end - line) + 1;
            obey(line);
            memmove(line, line + used, length - used);
            length -= used;
        }
    }
}
