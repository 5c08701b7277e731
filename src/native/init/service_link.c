#include "service_link.h"

#include <string.h>

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "_PORT_80_TCP..." somewhere in the name */
static bool has_port_number(const char *name)
{
    while ((name = strstr(name, "_PORT_")) != NULL) {
        const char *digit = name + strlen("_PORT_"), *number = digit;
        while (is_digit(*digit))
            digit++;
        if (digit != number && *digit == '_')
            return true;
        name = number - 1; /* its last letter may be the first of another one */
    }
    return false;
}

static bool ends_with(const char *name, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length >= end_length && memcmp(name + length - end_length, end, end_length) == 0;
}

bool service_link_is(const char *variable)
{
    char name[512]; /* the name of a Service has 63 bytes at most, that of a port 15 */
    size_t length = strcspn(variable, "=");
    if (length >= sizeof name || variable[length] != '=')
        return false;
    memcpy(name, variable, length);
    name[length] = '\0';
    const char *value = variable + length + 1;
    return ends_with(name, length, "_SERVICE_HOST") || ends_with(name, length, "_SERVICE_PORT") || strstr(name, "_SERVICE_PORT_") != NULL ||
           has_port_number(name) || (ends_with(name, length, "_PORT") && strstr(value, "://") != NULL);
}
