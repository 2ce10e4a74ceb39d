/* SPDX-License-Identifier: PostgreSQL */
/*
 * The ingest worker's tables: subscriptions of this process's role, what was handled, what failed
 * how often, and dead letters that somebody wants delivered again. Two kinds of function: those
 * that belong into the handler's transaction, and those that are one of their own.
 */
#ifndef BRIDGE_INBOX_H
#define BRIDGE_INBOX_H

#include "postgres.h"

#include "handler.h"

#define GA_BACKOFF_MAX 20

typedef struct GaSubscription
{
	char name[64];
	char stream[64];
	char subject[256];
	char handler[160];
	char durable[80];
	int max_deliver;
	int ack_wait_ms;
	int batch;
	int nbackoff;
	int64 backoff_ms[GA_BACKOFF_MAX];
	int64 ack_floor;
	int64 stream_created; /* that the floor is of; ns since 1970, 0: none */
} GaSubscription;

/* In the handler's transaction. */

/* True: it was not handled before, and is now, if this transaction commits. */
extern bool ga_inbox_claim(const GaSubscription *subscription, const GaDelivery *delivery);
/* Handled after failures: they no longer count. */
extern void ga_inbox_forget(const GaSubscription *subscription, const GaDelivery *delivery);
/*
 * It failed. counted: ga_inbox_mark() counted this attempt already. Returns how many ms to wait
 * before the next, or -1: it is a dead letter now and done with.
 */
extern int64 ga_inbox_fail(const GaSubscription *subscription, const GaDelivery *delivery,
                           const char *error, bool for_good, bool counted);

/* Transactions of their own; false: they failed. */

typedef enum GaMark
{
	GA_MARK_CALL, /* the attempt is on disk: call the handler */
	GA_MARK_DONE, /* handled before */
	GA_MARK_DEAD  /* it killed the process too often: it is a dead letter now */
} GaMark;

extern bool ga_inbox_mark(const GaSubscription *subscription, const GaDelivery *delivery,
                          GaMark *mark);
extern bool ga_inbox_fail_alone(const GaSubscription *subscription, const GaDelivery *delivery,
                                const char *error, bool counted, int64 *wait_ms);
/* The role's subscriptions, by name, in context. */
extern bool ga_inbox_subscriptions(MemoryContext context, GaSubscription **subscriptions, int *n);
extern bool ga_inbox_keep_floor(const GaSubscription *subscription, int64 floor,
                                int64 stream_created);

/* A dead letter that is to be handled again: taken off the list before it is tried. */
typedef struct GaRetry
{
	int64 id;
	char *requester;
	GaSubscription subscription;
	GaDelivery delivery;
} GaRetry;

/* In context; retry->id 0: there is none. */
extern bool ga_inbox_take_retry(MemoryContext context, GaRetry *retry);
/* In the handler's transaction: resolved, if it still was not. */
extern bool ga_inbox_resolve(const GaRetry *retry);
extern bool ga_inbox_retry_failed(const GaRetry *retry, const char *error);

#endif
