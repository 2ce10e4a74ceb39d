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
 * One turn of the relay: compare on a fresh connection, publish the latest head where it is a new
 * one, at most one a second. Waits for the broker, each time for a few seconds at most. Returns how
 * many ms there is nothing to do for, unless the sealer wakes the relay.
 */
extern long ga_anchor_turn(GaNats *nats, bool fresh);

#endif
