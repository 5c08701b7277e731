#pragma once

/* Calls `see` with each open descriptor of this process. Safe in a signal handler; not to be called by two threads at once. */
void open_files_each(void (*see)(int fd));
