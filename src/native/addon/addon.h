/* What the files of the addon share: arguments in, errors out. */
#ifndef PINGORA_ENTRY_ADDON_H
#define PINGORA_ENTRY_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* the kernel's SCM_MAX_FD: no message carries more */
enum { MAX_FDS = 253 };

/*
 * Readers of one argument. They return false with a JavaScript TypeError pending when the value is not what is asked for.
 * A missing argument reads as undefined.
 */
bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool read_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out);
bool read_fd(napi_env env, napi_value value, int *out);
bool read_int(napi_env env, napi_value value, const char *name, int *out);
bool read_boolean(napi_env env, napi_value value, const char *name, bool *out);
/* NUL-terminated; `length` (may be NULL) is without the NUL. Longer than size - 1 bytes is a RangeError. */
bool read_text(napi_env env, napi_value value, const char *name, char *out, size_t size, size_t *length);
/* The bytes belong to JavaScript: valid until the next call into it, so this is the last argument to be read. */
bool read_bytes(napi_env env, napi_value value, const char *name, uint8_t **out, size_t *length);
bool read_fds(napi_env env, napi_value value, int *out, size_t *count);

/* Throws an Error with `code` (EADDRINUSE), `errno` (negative, as Node has it) and `syscall`; returns NULL for `return`. */
napi_value throw_errno(napi_env env, const char *syscall, int error);

/* Results; NULL with an exception pending when JavaScript refuses (it is being torn down). */
napi_value make_integer(napi_env env, int64_t value);
napi_value make_boolean(napi_env env, bool value);
napi_value make_undefined(napi_env env);
bool set_property(napi_env env, napi_value object, const char *name, napi_value value);
bool set_integer(napi_env env, napi_value object, const char *name, int64_t value);
bool set_text(napi_env env, napi_value object, const char *name, const char *text, size_t length);
bool set_function(napi_env env, napi_value exports, const char *name, napi_callback function);
/* { family: "unix" | "inet" | "inet6" | "none", path? | host, port, scope? } */
bool set_address(napi_env env, napi_value object, const struct sockaddr_storage *address, socklen_t length);

bool register_descriptors(napi_env env, napi_value exports);
bool register_messages(napi_env env, napi_value exports);
bool register_sockets(napi_env env, napi_value exports);
bool register_watches(napi_env env, napi_value exports);
bool register_diagnoses(napi_env env, napi_value exports);
bool register_held_sockets(napi_env env, napi_value exports);

#endif
