#ifndef PINGORA_ENTRY_HTTP_H
#define PINGORA_ENTRY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads one HTTP/1.1 response, byte by byte as they come: with a content length, in chunks, or up to the end of the connection. Interim
 * (1xx) responses are skipped, trailers are dropped. Keeps no more than one line.
 */
enum http_state {
    HTTP_STATUS,
    HTTP_HEADER,
    HTTP_BODY, /* `left` bytes, or all */
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK,
    HTTP_CHUNK_END,
    HTTP_TRAILER,
    HTTP_DONE,
    HTTP_BROKEN,
};

struct http {
    enum http_state state;
    int status;
    bool chunked, has_length;
    uint64_t left;
    size_t line_length;
    char line[1024]; /* longer header lines are cut: none that we read is */
    void (*body)(const char *bytes, size_t length, void *context);
    void *context;
};

void http_begin(struct http *http, void (*body)(const char *bytes, size_t length, void *context), void *context);

/* Takes `length` bytes in. Bytes after the end are ignored. */
void http_feed(struct http *http, const char *bytes, size_t length);

/* The connection has ended: true when the response is complete. */
bool http_end(struct http *http);

#endif
