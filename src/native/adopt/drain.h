/*
 * Draining: at a signal, every descriptor of this process that is an adopted socket becomes a private one on which nothing ever arrives. What
 * has been accepted goes on; nothing more is.
 */
#pragma once

/* Installs the handler, unless the program has one of its own. */
void drain_arm(void);
/* Puts a private socket in the place of this one copy. */
void drain_one(int fd);
