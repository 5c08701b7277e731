#define _GNU_SOURCE
#include "addon.h"
#include "libuv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool refuse(napi_env env, const char *name, const char *wanted) {
    char text[160];
    snprintf(text, sizeof text, "%s must be %s", name, wanted);
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
    return false;
}

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
    return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok;
}

bool read_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out) {
    double number;
    if (napi_get_value_double(env, value, &number) != napi_ok) return refuse(env, name, "an integer");
    /* compared as doubles first: the conversion of what does not fit is undefined */
    if (!(number >= (double)min && number <= (double)max) || number != (double)(int64_t)number) {
        char text[160];
        snprintf(text, sizeof text, "%s must be an integer from %lld to %lld", name, (long long)min, (long long)max);
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
        return false;
    }
    *out = (int64_t)number;
    return true;
}

bool read_int(napi_env env, napi_value value, const char *name, int *out) {
    int64_t wide;
    if (!read_integer(env, value, name, INT_MIN, INT_MAX, &wide)) return false;
    *out = (int)wide;
    return true;
}

bool read_fd(napi_env env, napi_value value, int *out) {
    int64_t wide;
    if (!read_integer(env, value, "fd", 0, INT_MAX, &wide)) return false;
    *out = (int)wide;
    return true;
}

bool read_boolean(napi_env env, napi_value value, const char *name, bool *out) {
    return napi_get_value_bool(env, value, out) == napi_ok || refuse(env, name, "a boolean");
}

bool read_text(napi_env env, napi_value value, const char *name, char *out, size_t size, size_t *length) {
    size_t needed;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &needed) != napi_ok) return refuse(env, name, "a string");
    if (needed >= size) {
        char text[160];
        snprintf(text, sizeof text, "%s must be at most %zu bytes long", name, size - 1);
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
        return false;
    }
    if (napi_get_value_string_utf8(env, value, out, size, &needed) != napi_ok) return refuse(env, name, "a string");
    if (length) *length = needed;
    return true;
}

bool read_bytes(napi_env env, napi_value value, const char *name, uint8_t **out, size_t *length) {
    bool typed = false;
    if (napi_is_typedarray(env, value, &typed) != napi_ok || !typed) return refuse(env, name, "a Uint8Array");
    napi_typedarray_type type;
    void *data = NULL;
    if (napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array)
        return refuse(env, name, "a Uint8Array");
    static uint8_t nothing;
    *out = data ? data : &nothing; /* an empty or detached array may have no address */
    return true;
}

bool read_fds(napi_env env, napi_value value, int *out, size_t *count) {
    bool array = false;
    uint32_t length = 0;
    if (napi_is_array(env, value, &array) != napi_ok || !array) return refuse(env, "fds", "an array");
    if (napi_get_array_length(env, value, &length) != napi_ok) return false;
    if (length > MAX_FDS) {
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "fds must be at most 253 numbers");
        return false;
    }
    for (uint32_t index = 0; index < length; index++) {
        napi_value element;
        if (napi_get_element(env, value, index, &element) != napi_ok || !read_fd(env, element, &out[index])) return false;
    }
    *count = length;
    return true;
}

napi_value throw_errno(napi_env env, const char *syscall, int error) {
    char name[64], reason[128], text[256];
    if (error == ETOOMANYREFS) { /* libuv has no name for it */
        snprintf(name, sizeof name, "ETOOMANYREFS");
        snprintf(reason, sizeof reason, "too many descriptors are in flight");
    } else {
        uv_err_name_r(-error, name, sizeof name);
        uv_strerror_r(-error, reason, sizeof reason);
    }
    snprintf(text, sizeof text, "%s %s: %s", syscall, name, reason);
    napi_value code, message, exception;
    if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) == napi_ok &&
        napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) == napi_ok &&
        napi_create_error(env, code, message, &exception) == napi_ok && set_integer(env, exception, "errno", -error) &&
        set_text(env, exception, "syscall", syscall, NAPI_AUTO_LENGTH))
        napi_throw(env, exception);
    return NULL;
}

napi_value make_integer(napi_env env, int64_t value) {
    napi_value result;
    return napi_create_int64(env, value, &result) == napi_ok ? result : NULL;
}

napi_value make_boolean(napi_env env, bool value) {
    napi_value result;
    return napi_get_boolean(env, value, &result) == napi_ok ? result : NULL;
}

napi_value make_undefined(napi_env env) {
    napi_value result;
    return napi_get_undefined(env, &result) == napi_ok ? result : NULL;
}

bool set_property(napi_env env, napi_value object, const char *name, napi_value value) {
    return value != NULL && napi_set_named_property(env, object, name, value) == napi_ok;
}

bool set_integer(napi_env env, napi_value object, const char *name, int64_t value) {
    return set_property(env, object, name, make_integer(env, value));
}

bool set_text(napi_env env, napi_value object, const char *name, const char *text, size_t length) {
    napi_value string;
    return napi_create_string_utf8(env, text, length, &string) == napi_ok && set_property(env, object, name, string);
}

bool set_function(napi_env env, napi_value exports, const char *name, napi_callback callback) {
    napi_value function;
    return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function) == napi_ok &&
           set_property(env, exports, name, function);
}

static bool set_unix_address(napi_env env, napi_value object, const struct sockaddr_un *address, socklen_t length) {
    size_t size = length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;
    if (size > sizeof address->sun_path) size = sizeof address->sun_path;
    /* a first NUL is an abstract name, whose every byte counts; a path ends at its NUL, if it has one */
    if (size > 0 && address->sun_path[0] != '\0') size = strnlen(address->sun_path, size);
    return set_text(env, object, "family", "unix", NAPI_AUTO_LENGTH) &&
           (size == 0 || set_text(env, object, "path", address->sun_path, size));
}

bool set_address(napi_env env, napi_value object, const struct sockaddr_storage *address, socklen_t length) {
    char host[INET6_ADDRSTRLEN];
    if (length < sizeof(sa_family_t)) return set_text(env, object, "family", "none", NAPI_AUTO_LENGTH);
    if (address->ss_family == AF_UNIX) return set_unix_address(env, object, (const struct sockaddr_un *)address, length);
    if (address->ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *inet = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &inet->sin_addr, host, sizeof host);
        return set_text(env, object, "family", "inet", NAPI_AUTO_LENGTH) &&
               set_text(env, object, "host", host, NAPI_AUTO_LENGTH) && set_integer(env, object, "port", ntohs(inet->sin_port));
    }
    if (address->ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *inet = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &inet->sin6_addr, host, sizeof host);
        return set_text(env, object, "family", "inet6", NAPI_AUTO_LENGTH) &&
               set_text(env, object, "host", host, NAPI_AUTO_LENGTH) && set_integer(env, object, "port", ntohs(inet->sin6_port)) &&
               (inet->sin6_scope_id == 0 || set_integer(env, object, "scope", inet->sin6_scope_id));
    }
    return set_text(env, object, "family", "none", NAPI_AUTO_LENGTH);
}
