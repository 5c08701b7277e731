#define _GNU_SOURCE
#include "spawn_order.h"

#include <stddef.h>
#include <string.h>

#include "number.h"

static const struct {
    const char *name;
    int resource;
} resources[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},         {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},     {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},       {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},     {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"stack", RLIMIT_STACK},     {"sigpending", RLIMIT_SIGPENDING},
};

/* The number before `stop` at *text, which moves behind it. */
static bool part(const char **text, char stop, int64_t least, int64_t most, int64_t *value)
{
    char digits[24];
    const char *end = strchr(*text, stop);
    if (end == NULL || (size_t)(end - *text) >= sizeof digits)
        return false;
    memcpy(digits, *text, (size_t)(end - *text));
    digits[end - *text] = '\0';
    *text = stop == '\0' ? end : end + 1;
    return number_parse(digits, least, most, value);
}

const char *spawn_order_value(const char *field, const char *key)
{
    size_t length = strlen(key);
    return strncmp(field, key, length) == 0 && field[length] == '=' ? field + length + 1 : NULL;
}

static bool read_boolean(const char *value, bool *flag)
{
    *flag = value[0] == '1';
    return (value[0] == '0' || value[0] == '1') && value[1] == '\0';
}

/* One more descriptor for the target at *value, which moves behind it; NULL when there cannot be one. */
static struct order_fd *add_fd(struct spawn_order *order, const char **value)
{
    int64_t target;
    if (order->fd_count == ORDER_MOST_FDS || !part(value, ':', 0, ORDER_HIGHEST_TARGET, &target))
        return NULL;
    for (size_t i = 0; i < order->fd_count; i++)
        if (order->fds[i].target == (int)target)
            return NULL;
    struct order_fd *added = &order->fds[order->fd_count++];
    *added = (struct order_fd){.target = (int)target};
    return added;
}

static bool read_fd(struct spawn_order *order, const char *value, size_t fds)
{
    int64_t index;
    struct order_fd *added = add_fd(order, &value);
    if (added == NULL || fds == 0 || !number_parse(value, 0, (int64_t)fds - 1, &index))
        return false;
    added->index = (int)index;
    return true;
}

static bool read_held(struct spawn_order *order, const char *value)
{
    struct order_fd *added = add_fd(order, &value);
    if (added == NULL || value[0] == '\0' || strlen(value) > HELD_LONGEST_NAME)
        return false;
    added->held = value;
    return true;
}

static bool read_limit(struct spawn_order *order, const char *value)
{
    const char *colon = strchr(value, ':');
    if (colon == NULL || order->limit_count == ORDER_MOST_LIMITS)
        return false;
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        if (strlen(resources[i].name) != (size_t)(colon - value) || strncmp(value, resources[i].name, (size_t)(colon - value)) != 0)
            continue;
        const char *rest = colon + 1;
        int64_t soft, hard;
        if (!part(&rest, ':', -1, INT64_MAX, &soft) || !number_parse(rest, -1, INT64_MAX, &hard))
            return false;
        order->limits[order->limit_count].resource = resources[i].resource;
        order->limits[order->limit_count].limit.rlim_cur = soft < 0 ? RLIM_INFINITY : (rlim_t)soft;
        order->limits[order->limit_count++].limit.rlim_max = hard < 0 ? RLIM_INFINITY : (rlim_t)hard;
        return true;
    }
    return false;
}

static bool read_groups(struct spawn_order *order, const char *value)
{
    order->has_groups = true;
    order->group_count = 0;
    while (*value != '\0') {
        int64_t group;
        char stop = strchr(value, ',') == NULL ? '\0' : ',';
        if (order->group_count == ORDER_MOST_GROUPS || !part(&value, stop, 0, UINT32_MAX - 1, &group))
            return false;
        order->groups[order->group_count++] = (gid_t)group;
    }
    return true;
}

static bool read_octal(struct spawn_order *order, const char *value)
{
    mode_t mode = 0;
    size_t length = 0;
    for (; value[length] >= '0' && value[length] <= '7' && length < 4; length++)
        mode = mode * 8 + (mode_t)(value[length] - '0');
    order->has_umask = true;
    order->umask = mode & 0777;
    return length > 0 && value[length] == '\0';
}

static bool read_number(const char *value, int64_t least, int64_t most, bool *has, int64_t *number)
{
    *has = true;
    return number_parse(value, least, most, number);
}

static bool read_pidenv(struct spawn_order *order, const char *value)
{
    if (order->pidenv_count == ORDER_MOST_PIDENVS || value[0] == '\0' || strchr(value, '=') != NULL || strlen(value) > ORDER_LONGEST_ID)
        return false;
    order->pidenvs[order->pidenv_count++] = value;
    return true;
}

/* NULL when the field is right, else its key. */
static const char *read_field(struct spawn_order *order, const char *field, size_t fds)
{
    const char *value;
    int64_t number = 0;
    if ((value = spawn_order_value(field, "e")) != NULL)
        return order->environment_count++, NULL;
    if ((value = spawn_order_value(field, "a")) != NULL)
        return order->argument_count++, NULL;
    if ((value = spawn_order_value(field, "session")) != NULL)
        return read_boolean(value, &order->session) ? NULL : "session";
    if ((value = spawn_order_value(field, "tty")) != NULL)
        return read_boolean(value, &order->tty) ? NULL : "tty";
    if ((value = spawn_order_value(field, "fd")) != NULL)
        return read_fd(order, value, fds) ? NULL : "fd";
    if ((value = spawn_order_value(field, "held")) != NULL)
        return read_held(order, value) ? NULL : "held";
    if ((value = spawn_order_value(field, "rlimit")) != NULL)
        return read_limit(order, value) ? NULL : "rlimit";
    if ((value = spawn_order_value(field, "umask")) != NULL)
        return read_octal(order, value) ? NULL : "umask";
    if ((value = spawn_order_value(field, "groups")) != NULL)
        return read_groups(order, value) ? NULL : "groups";
    if ((value = spawn_order_value(field, "pidenv")) != NULL)
        return read_pidenv(order, value) ? NULL : "pidenv";
    if ((value = spawn_order_value(field, "cwd")) != NULL)
        return order->cwd = value, value[0] != '\0' ? NULL : "cwd";
    if ((value = spawn_order_value(field, "nice")) != NULL) {
        bool right = read_number(value, -20, 19, &order->has_nice, &number);
        order->nice = (int)number;
        return right ? NULL : "nice";
    }
    if ((value = spawn_order_value(field, "oom")) != NULL) {
        bool right = read_number(value, -1000, 1000, &order->has_oom, &number);
        order->oom = (int)number;
        return right ? NULL : "oom";
    }
    if ((value = spawn_order_value(field, "gid")) != NULL) {
        bool right = read_number(value, 0, UINT32_MAX - 1, &order->has_gid, &number);
        order->gid = (gid_t)number;
        return right ? NULL : "gid";
    }
    if ((value = spawn_order_value(field, "uid")) != NULL) {
        bool right = read_number(value, 0, UINT32_MAX - 1, &order->has_uid, &number);
        order->uid = (uid_t)number;
        return right ? NULL : "uid";
    }
    return "field";
}

const char *spawn_order_read(struct frame *frame, size_t fds, struct spawn_order *order)
{
    memset(order, 0, offsetof(struct spawn_order, fds));
    order->session = true;
    order->fields = *frame;
    for (const char *field; (field = frame_take(frame)) != NULL;) {
        const char *wrong = read_field(order, field, fds);
        if (wrong != NULL)
            return wrong;
    }
    return order->argument_count == 0 ? "a" : NULL;
}
