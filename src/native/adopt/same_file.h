#pragma once

#include <stdbool.h>

/* Whether `path`, seen from `directory`, is the file at the absolute path `other`: by name, or as the same file by another name. */
bool is_same_file(int directory, const char *path, const char *other);
