/*
 * The few functions of libuv that watching a descriptor needs. node-api-headers has no uv.h, so they are declared here.
 *
 * Why that holds from Node 20 to 26: every Node exports libuv 1.x from its executable, and libuv promises ABI stability within
 * major version 1 (only additions). Nothing below depends on the layout of a libuv structure: handles are opaque, their size is
 * asked at run time (uv_handle_size), our pointer is stored through uv_handle_set_data. The numbers of enum members are part of
 * that ABI: uv_handle_type is ordered by name up to UV_UDP, and what came later (UV_SIGNAL) was appended.
 */
#ifndef PINGORA_ENTRY_LIBUV_H
#define PINGORA_ENTRY_LIBUV_H

#include <stddef.h>

struct uv_loop_s;
typedef struct uv_poll_s uv_poll_t; /* an opaque handle of uv_handle_size(UV_POLL) bytes */

enum { UV_POLL = 8 };
enum { UV_READABLE = 1, UV_WRITABLE = 2, UV_DISCONNECT = 4 };

size_t uv_handle_size(int type);
int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, void (*callback)(uv_poll_t *handle, int status, int events));
int uv_poll_stop(uv_poll_t *handle);
void uv_close(uv_poll_t *handle, void (*callback)(uv_poll_t *handle));
void uv_ref(uv_poll_t *handle);
void uv_unref(uv_poll_t *handle);
void uv_handle_set_data(uv_poll_t *handle, void *data);
void *uv_handle_get_data(const uv_poll_t *handle);

/* both write at most `size` bytes with the NUL; an unknown number is named "Unknown system error N" */
char *uv_err_name_r(int error, char *name, size_t size);
char *uv_strerror_r(int error, char *text, size_t size);

#endif
