/*
 * Readiness of any descriptor on Node's own loop. A watch is known to JavaScript by its number: whatever it hands in, a number
 * either finds a live watch of this environment or none, and nothing can dangle.
 *
 * Life of a watch: created -> (start, stop)* -> uv_close -> closed callback frees it. From uv_close on it is not found any more, and
 * libuv calls back no more; so closing a watch inside its own callback is safe, the memory lives until the closed callback.
 */
#include "addon.h"
#include "libuv.h"

#include <errno.h>
#include <stdlib.h>

struct watch {
    struct watches *owner;
    struct watch *next;
    uint32_t id;
    bool closing;
    napi_ref callback;
    napi_async_context context;
    uv_poll_t *handle;
};

/* all watches of one environment (main thread or worker) */
struct watches {
    napi_env env;
    struct watch *first;
    uint32_t last_id;
    napi_async_cleanup_hook_handle hook;
    bool ending;
};

static struct watch *find(napi_env env, uint32_t id) {
    struct watches *all = NULL;
    if (napi_get_instance_data(env, (void **)&all) != napi_ok || !all) return NULL;
    for (struct watch *watch = all->first; watch; watch = watch->next)
        if (watch->id == id && !watch->closing) return watch;
    return NULL;
}

static void finish_ending(struct watches *all) {
    if (!all->ending || all->first) return;
    napi_remove_async_cleanup_hook(all->hook);
    free(all);
}

static void closed(uv_poll_t *handle) {
    struct watch *watch = uv_handle_get_data(handle);
    struct watches *all = watch->owner;
    for (struct watch **link = &all->first; *link; link = &(*link)->next)
        if (*link == watch) {
            *link = watch->next;
            break;
        }
    free(watch);
    free(handle);
    finish_ending(all);
}

static void close_watch(struct watch *watch) {
    watch->closing = true;
    /* here, while the environment is surely alive, not in the closed callback, which may run at its very end */
    napi_delete_reference(watch->owner->env, watch->callback);
    napi_async_destroy(watch->owner->env, watch->context);
    uv_close(watch->handle, closed);
}

/* A worker or the process ends: Node waits until every handle is closed, then the loop may go. */
static void end_environment(napi_async_cleanup_hook_handle hook, void *data) {
    (void)hook;
    struct watches *all = data;
    all->ending = true;
    for (struct watch *watch = all->first; watch; watch = watch->next)
        if (!watch->closing) close_watch(watch);
    finish_ending(all);
}

static void ready(uv_poll_t *handle, int status, int events) {
    struct watch *watch = uv_handle_get_data(handle);
    napi_env env = watch->owner->env;
    napi_handle_scope scope;
    napi_value callback, receiver, arguments[1];
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    /* an error on the descriptor (libuv stops polling then) is told as readiness: the next read or write says which error */
    if (status < 0) events = UV_READABLE | UV_WRITABLE | UV_DISCONNECT;
    bool known = napi_get_reference_value(env, watch->callback, &callback) == napi_ok &&
                 napi_get_global(env, &receiver) == napi_ok && napi_create_int32(env, events, &arguments[0]) == napi_ok;
    /* `watch` may be closed by what runs in here */
    if (known && napi_make_callback(env, watch->context, receiver, callback, 1, arguments, NULL) == napi_pending_exception) {
        napi_value exception;
        if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
    }
    napi_close_handle_scope(env, scope);
}

/* (fd, callback(events)) -> number of the watch; it reports nothing until startWatch. The fd becomes non-blocking. */
static napi_value open_watch(napi_env env, napi_callback_info info) {
    napi_value arguments[2], name;
    napi_valuetype type;
    struct uv_loop_s *loop;
    struct watches *all = NULL;
    int fd;
    if (!read_arguments(env, info, 2, arguments) || !read_fd(env, arguments[0], &fd)) return NULL;
    if (napi_typeof(env, arguments[1], &type) != napi_ok || type != napi_function) {
        napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "callback must be a function");
        return NULL;
    }
    if (napi_get_instance_data(env, (void **)&all) != napi_ok || !all || all->ending ||
        napi_get_uv_event_loop(env, &loop) != napi_ok ||
        napi_create_string_utf8(env, "pingora-entry:watch", NAPI_AUTO_LENGTH, &name) != napi_ok)
        return NULL;
    struct watch *watch = calloc(1, sizeof *watch);
    uv_poll_t *handle = calloc(1, uv_handle_size(UV_POLL));
    /* libuv reports an error here for what cannot be polled, and leaves a handle that needs no closing */
    int error = watch && handle ? uv_poll_init(loop, handle, fd) : -ENOMEM;
    if (error) {
        free(watch);
        free(handle);
        return throw_errno(env, "watch", -error);
    }
    uv_handle_set_data(handle, watch);
    watch->owner = all;
    watch->handle = handle;
    watch->id = ++all->last_id;
    watch->next = all->first;
    all->first = watch;
    if (napi_create_reference(env, arguments[1], 1, &watch->callback) == napi_ok &&
        napi_async_init(env, NULL, name, &watch->context) == napi_ok)
        return make_integer(env, watch->id);
    if (watch->callback) napi_delete_reference(env, watch->callback);
    watch->closing = true;
    uv_close(handle, closed);
    return NULL;
}

static bool read_watch(napi_env env, napi_value value, struct watch **out) {
    int64_t id;
    if (!read_integer(env, value, "watch", 0, UINT32_MAX, &id)) return false;
    *out = find(env, (uint32_t)id);
    return true;
}

/* (watch, events): READABLE 1, WRITABLE 2, DISCONNECT 4; 0 stops. A closed watch is left alone. */
static napi_value start_watch(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    struct watch *watch;
    int64_t events;
    if (!read_arguments(env, info, 2, arguments) || !read_watch(env, arguments[0], &watch) ||
        !read_integer(env, arguments[1], "events", 0, UV_READABLE | UV_WRITABLE | UV_DISCONNECT, &events))
        return NULL;
    int error = 0;
    if (watch) error = events ? uv_poll_start(watch->handle, (int)events, ready) : uv_poll_stop(watch->handle);
    return error ? throw_errno(env, "watch", -error) : make_undefined(env);
}

/* (watch, keep): whether the watch alone keeps the process running */
static napi_value keep_watch(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    struct watch *watch;
    bool keep;
    if (!read_arguments(env, info, 2, arguments) || !read_watch(env, arguments[0], &watch) ||
        !read_boolean(env, arguments[1], "keep", &keep))
        return NULL;
    if (watch) (keep ? uv_ref : uv_unref)(watch->handle);
    return make_undefined(env);
}

/* Closing twice is nothing. Only afterwards may the fd be closed: epoll would go on reporting a copy of it. */
static napi_value end_watch(napi_env env, napi_callback_info info) {
    napi_value arguments[1];
    struct watch *watch;
    if (!read_arguments(env, info, 1, arguments) || !read_watch(env, arguments[0], &watch)) return NULL;
    if (watch) close_watch(watch);
    return make_undefined(env);
}

bool register_watches(napi_env env, napi_value exports) {
    struct watches *all = calloc(1, sizeof *all);
    if (!all) {
        throw_errno(env, "watch", ENOMEM);
        return false;
    }
    all->env = env;
    if (napi_set_instance_data(env, all, NULL, NULL) != napi_ok ||
        napi_add_async_cleanup_hook(env, end_environment, all, &all->hook) != napi_ok) {
        napi_set_instance_data(env, NULL, NULL, NULL);
        free(all);
        return false;
    }
    return set_function(env, exports, "openWatch", open_watch) && set_function(env, exports, "startWatch", start_watch) &&
           set_function(env, exports, "keepWatch", keep_watch) && set_function(env, exports, "closeWatch", end_watch);
}
