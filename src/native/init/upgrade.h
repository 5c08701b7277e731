#ifndef PINGORA_ENTRY_UPGRADE_H
#define PINGORA_ENTRY_UPGRADE_H

/* Room for the option by which Node learns what has been asked for already. */
enum { UPGRADE_ASKED_SIZE = 128 };

/* No exit code: Node goes on, with its own command of the same name. */
enum { UPGRADE_NEEDS_NODE = -1 };

/*
 * `pingora-entry upgrade` without Node, so that replacing a generation takes no processor time and memory from it: orders it over the
 * control socket and prints what the supervisor says, in the words that Node would use. Returns the exit code, or UPGRADE_NEEDS_NODE for
 * what is not as usual: other options, a mistake to explain, nobody who answers, a supervisor that died meanwhile. Writes into `asked`
 * the option --asked=BEGAN:ATTEMPT when the order has been sent (BEGAN: milliseconds since the epoch; ATTEMPT: empty before it has a name);
 * leaves it empty when Node may begin anew.
 */
int upgrade(char *const arguments[], char *const environment[], char asked[UPGRADE_ASKED_SIZE]);

#endif
