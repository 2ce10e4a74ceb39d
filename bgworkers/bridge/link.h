/* SPDX-License-Identifier: PostgreSQL */
/*
 * The worker's side of a connection: opened from the settings, reported to bridge_status, waited on
 * together with the latch.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include "postgres.h"

#include "goldenarch/bridge.h"
#include "nats.h"

/*
 * Opens the process's connection; while no address is set, or the settings are wrong, waits for
 * other settings. Closed at exit.
 */
extern GaNats *ga_link_open(GaPeer peer, const char *worker);

/* An error for bridge_status that does not end the connection. */
extern void ga_link_complain(const char *error);

/*
 * Connected? Tells bridge_status of every change. *fresh: it is another connection than at the
 * last call, so what was in flight is lost.
 */
extern bool ga_link_up(GaNats *nats, bool *fresh);

/*
 * Wait for the latch (true), for messages or for the time. A change of the settings that the
 * connection was opened with ends the process; it is started again.
 */
extern bool ga_link_wait(GaNats *nats, long timeout_ms);

/* The same for a worker without a connection, or with a socket of its own; fd -1: none. */
extern bool ga_link_wait_fd(int fd, long timeout_ms);

#endif
