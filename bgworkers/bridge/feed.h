/* SPDX-License-Identifier: PostgreSQL */
/*
 * The broker's side of subscriptions: a durable pull consumer each, asked for a batch at a time by
 * requests of our own (cnats' Fetch writes past its array), and acknowledged by hand.
 */
#ifndef BRIDGE_FEED_H
#define BRIDGE_FEED_H

#include "postgres.h"

#include "inbox.h"
#include "nats.h"

typedef struct GaFeed
{
	GaSubscription subscription;
	unsigned number;     /* in reply subjects */
	unsigned generation; /* of the request that is out */
	bool ready;          /* the consumer is there */
	int64 look_at;       /* when to look for the consumer or the floor again, monotonic ns */
	int wanted;          /* messages of the request that are still to come */
	int64 wanted_until;  /* monotonic ns */
	GaNatsMessage *first;
	GaNatsMessage **last;
	int queued;
	int64 touched_at; /* when the broker last heard of the queued ones */
} GaFeed;

extern GaFeed *ga_feed_new(const GaSubscription *subscription);
extern void ga_feed_free(GaFeed *feed);

/* Another connection: what was asked for will not come, and the consumer may be gone. */
extern void ga_feed_reconnected(GaFeed *feed);
/* Make the consumer where it is missing, ask for messages where none are left. */
extern void ga_feed_tend(GaFeed *feed, GaNats *nats);
/* What arrived goes to the feed it is for; what is for none is dropped and comes again. */
extern void ga_feeds_deliver(GaFeed **feeds, int n, GaNats *nats);
/* Null: nothing is queued. The caller frees it. */
extern GaNatsMessage *ga_feed_take(GaFeed *feed);
/* Tell the broker that the queued ones are still being worked on, where they wait for long. */
extern void ga_feed_touch(GaFeed *feed, GaNats *nats);

extern void ga_feed_in_progress(GaNats *nats, const GaNatsMessage *message);
extern void ga_feed_ack(GaNats *nats, const GaNatsMessage *message);
extern void ga_feed_nak(GaNats *nats, const GaNatsMessage *message, int64 wait_ms);

#endif
