#ifndef PINGORA_ENTRY_SERVICE_LINK_H
#define PINGORA_ENTRY_SERVICE_LINK_H

#include <stdbool.h>

/* "NAME=value" is one of the variables that Kubernetes sets in a pod for each Service of its namespace (enableServiceLinks). */
bool service_link_is(const char *variable);

#endif
