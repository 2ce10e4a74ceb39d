/* SPDX-License-Identifier: PostgreSQL */
/*
 * Anchoring: signed heads of the audit tree go to a JetStream stream that nobody can delete from,
 * and the tree is compared with what that stream holds before anything is added to it.
 */
#ifndef BRIDGE_ANCHOR_H
#define BRIDGE_ANCHOR_H

#include "postgres.h"

#include "nats.h"

/*
 * One turn of the relay, at most once a second: compare on a fresh connection, publish the latest
 * head where it is a new one. Waits for the broker, each time for a few seconds at most.
 */
extern void ga_anchor_turn(GaNats *nats, bool fresh);

#endif
