#ifndef PINGORA_ENTRY_VERSION_H
#define PINGORA_ENTRY_VERSION_H

/* Given by the build; both can be bent for tests. */
#ifndef PINGORA_ENTRY_VERSION
#define PINGORA_ENTRY_VERSION "0.0.0"
#endif

/*
 * Of the state that one init leaves to the next (state.h). New keys and records need no new version: who does not know them ignores them.
 * It changes when what is there means something else.
 */
#ifndef STATE_VERSION
#define STATE_VERSION 1
#endif
/* The oldest that this program reads. */
#ifndef STATE_LEAST_VERSION
#define STATE_LEAST_VERSION 1
#endif

#endif
