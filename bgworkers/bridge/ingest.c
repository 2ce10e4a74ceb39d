/* SPDX-License-Identifier: PostgreSQL */
/*
 * Ingest: JetStream -> handlers, for the subscriptions of one PostgreSQL role, connected as it. A
 * chunk of messages is one transaction, each message a subtransaction of its inbox row and its
 * handler's effects; only after the commit are they acknowledged. A chunk whose commit fails is
 * done again message by message, so that the one at fault is the one that counts it. A message that
 * comes a second time is tried alone, its attempt on disk first.
 */
#include "entry.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "goldenarch/bridge.h"
#include "goldenarch/clock.h"
#include "goldenarch/metrics.h"
#include "feed.h"
#include "handler.h"
#include "inbox.h"
#include "link.h"
#include "limits.h"
#include "worker.h"

#define CHUNK_MAX 50
#define CHUNK_NS INT64CONST(1000000000)
#define RELOAD_NS (5 * INT64CONST(1000000000))
#define FEEDS_MAX 256
#define UNIX_TO_POSTGRES_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC)

typedef struct Received
{
	GaNatsMessage *message;
	GaDelivery delivery;
	bool marked;
	bool handled; /* this transaction handled it */
	bool failed;
	int64 wait_ms; /* -1: acknowledge it */
} Received;

typedef struct Ingest
{
	GaNats *nats;
	GaFeed *feeds[FEEDS_MAX];
	int nfeeds;
	int64 reload_at;
	MemoryContext chunk; /* deliveries of the running chunk */
	char *error;         /* of a chunk that failed as a whole, in chunk */
} Ingest;

/* ---- from the wire ---- */

typedef struct Headers
{
	JsonbParseState *state;
	GaDelivery *delivery;
} Headers;

static JsonbValue
string_value(const char *text)
{
	JsonbValue v = {.type = jbvString};

	/* Bytes from the broker: what is not UTF-8 is shown, not trusted. */
	if (!pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true))
		text = "(not UTF-8)";
	v.val.string.val = pstrdup(text);
	v.val.string.len = (int) strlen(text);
	return v;
}

static bool
is_tenant(const char *text)
{
	const char *c;

	for (c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return c - text <= GA_TENANT_MAX_BYTES;
}

static void
add_header(void *context, const char *name, const char *const *values, int n)
{
	Headers *headers = context;
	JsonbValue key = string_value(name);
	JsonbValue value;
	int i;

	if (n < 1 || strlen(name) > 256)
		return;
	if (pg_strcasecmp(name, "Nats-Msg-Id") == 0 && strlen(values[0]) <= 512)
		headers->delivery->msg_id = pnstrdup(string_value(values[0]).val.string.val, 512);
	if (strcmp(name, "Ga-Tenant") == 0 && is_tenant(values[0]))
		headers->delivery->tenant = pstrdup(values[0]);
	pushJsonbValue(&headers->state, WJB_KEY, &key);
	if (n > 1)
		pushJsonbValue(&headers->state, WJB_BEGIN_ARRAY, NULL);
	for (i = 0; i < n; i++)
	{
		value = string_value(values[i]);
		pushJsonbValue(&headers->state, n > 1 ? WJB_ELEM : WJB_VALUE, &value);
	}
	if (n > 1)
		pushJsonbValue(&headers->state, WJB_END_ARRAY, NULL);
}

/* In the current context; false: it did not come from a stream. */
static bool
read_delivery(GaNatsMessage *message, GaDelivery *d)
{
	Headers headers = {.delivery = d};
	GaNatsOrigin origin;

	memset(d, 0, sizeof(*d));
	if (!ga_nats_origin(message, &origin))
		return false;
	d->tenant = "";
	d->subject = string_value(message->subject).val.string.val;
	d->payload = message->data ? message->data : "";
	d->payload_bytes = message->bytes;
	d->stream = pstrdup(origin.stream);
	d->seq = (int64) origin.seq;
	d->delivered = (int) Min(origin.delivered, INT_MAX);
	d->published_at = origin.stored_at_ns / 1000 - UNIX_TO_POSTGRES_US;
	pushJsonbValue(&headers.state, WJB_BEGIN_OBJECT, NULL);
	ga_nats_headers(message, add_header, &headers);
	d->headers = JsonbValueToJsonb(pushJsonbValue(&headers.state, WJB_END_OBJECT, NULL));
	/*
	 * A sequence is used again when a stream is made anew or restored: the time tells them apart.
	 */
	if (d->msg_id)
		d->key = psprintf("%s/m/%s", d->stream, d->msg_id);
	else
		d->key = psprintf("%s/s/" INT64_FORMAT "/" INT64_FORMAT, d->stream, d->seq,
		                  (int64) origin.stored_at_ns);
	return true;
}

/* ---- one chunk ---- */

typedef struct Chunk
{
	const GaSubscription *subscription;
	Received *items;
	int n;
} Chunk;

typedef struct Claim
{
	const GaSubscription *subscription;
	Received *item;
} Claim;

static bool
claim(void *arg)
{
	Claim *c = arg;

	return ga_inbox_claim(c->subscription, &c->item->delivery);
}

static void
handle_item(const GaSubscription *s, Received *item)
{
	Claim c = {s, item};
	char *error = NULL;
	GaHandled handled;

	item->handled = item->failed = false;
	item->wait_ms = -1;
	handled = ga_handler_call(s->handler, &item->delivery, s->ack_wait_ms, claim, &c, &error);
	switch (handled)
	{
		case GA_HANDLED:
			item->handled = true;
			if (item->marked)
				ga_inbox_forget(s, &item->delivery);
			break;
		case GA_HANDLED_BEFORE:
			break;
		case GA_HANDLER_FAILED:
		case GA_HANDLER_REFUSED:
			item->failed = true;
			item->wait_ms = ga_inbox_fail(s, &item->delivery, error, handled == GA_HANDLER_REFUSED,
			                              item->marked);
			break;
	}
}

/* One transaction, as the role. False: nothing of it happened, and ingest->error says why. */
static bool
run_transaction(Ingest *ingest, void (*body)(void *arg), void *arg)
{
	volatile bool ok = false;

	ingest->error = NULL;
	ga_worker_report("handling messages");
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		body(arg);
		/* What is acknowledged must be on disk, whatever synchronous_commit says. */
		ForceSyncCommit();
		PopActiveSnapshot();
		CommitTransactionCommand();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData *failure;

		MemoryContextSwitchTo(ingest->chunk);
		failure = CopyErrorData();
		ingest->error = psprintf("%s: %s", unpack_sql_state(failure->sqlerrcode), failure->message);
		HOLD_INTERRUPTS();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(ingest->chunk);
	ga_worker_report(NULL);
	return ok;
}

static void
handle_chunk(void *arg)
{
	Chunk *chunk = arg;
	int64 until = ga_monotonic_ns() + CHUNK_NS;
	int i;

	for (i = 0; i < chunk->n; i++)
	{
		handle_item(chunk->subscription, &chunk->items[i]);
		/* What is left waits for the next chunk: it must not wait for an acknowledgement. */
		if (ga_monotonic_ns() >= until)
			chunk->n = i + 1;
	}
}

static void
answer(Ingest *ingest, Received *item)
{
	if (item->wait_ms < 0)
		ga_feed_ack(ingest->nats, item->message);
	else
		ga_feed_nak(ingest->nats, item->message, item->wait_ms);
	ga_bridge_report_consumed(item->handled ? 1 : 0, item->failed ? 1 : 0);
	if (item->handled)
		ga_count(GA_COUNT_CONSUMED);
	if (item->failed)
		ga_count(GA_COUNT_HANDLER_FAILED);
}

/* Returns how many of the items are done with: answered, or left to come again. */
static int
work_chunk(Ingest *ingest, Chunk chunk)
{
	int all = chunk.n;
	int i;

	if (run_transaction(ingest, handle_chunk, &chunk))
	{
		for (i = 0; i < chunk.n; i++)
			answer(ingest, &chunk.items[i]);
		return chunk.n;
	}
	if (all > 1)
	{
		for (i = 0; i < all; i++)
			(void) work_chunk(ingest, (Chunk){chunk.subscription, &chunk.items[i], 1});
		return all;
	}
	/* Not the handler failed but the commit: a deferred constraint, a serialization failure. */
	chunk.items[0].handled = false;
	chunk.items[0].failed = true;
	if (ga_inbox_fail_alone(chunk.subscription, &chunk.items[0].delivery, ingest->error,
	                        chunk.items[0].marked, &chunk.items[0].wait_ms))
		answer(ingest, &chunk.items[0]);
	return 1;
}

/* A message that came before: its attempt is on disk before it is tried, alone. */
static void
work_again(Ingest *ingest, const GaSubscription *s, Received *item)
{
	GaMark mark;

	if (!ga_inbox_mark(s, &item->delivery, &mark))
		return;
	item->marked = true;
	item->wait_ms = -1;
	if (mark == GA_MARK_CALL)
		(void) work_chunk(ingest, (Chunk){s, item, 1});
	else
		answer(ingest, item);
}

/* ---- a feed ---- */

/* The next messages that may share a transaction; one that came before stands alone. */
static int
gather(GaFeed *feed, Received *items)
{
	int n = 0;

	while (n < CHUNK_MAX && feed->first)
	{
		GaNatsOrigin origin;
		bool again = ga_nats_origin(feed->first, &origin) && origin.delivered > 1;

		if (again && n > 0)
			break;
		items[n] = (Received){.message = ga_feed_take(feed)};
		if (read_delivery(items[n].message, &items[n].delivery))
			n++;
		else
			ga_nats_free(items[n].message);
		if (again)
			break;
	}
	return n;
}

static bool
work_feed(Ingest *ingest, GaFeed *feed)
{
	MemoryContext before = MemoryContextSwitchTo(ingest->chunk);
	Received items[CHUNK_MAX];
	int n = gather(feed, items);
	int done = 0;
	int i;

	if (n == 1 && items[0].delivery.delivered > 1)
		work_again(ingest, &feed->subscription, &items[0]);
	else
		while (done < n)
		{
			done += work_chunk(ingest, (Chunk){&feed->subscription, items + done, n - done});
			for (i = done; i < n; i++)
				ga_feed_in_progress(ingest->nats, items[i].message);
		}
	for (i = 0; i < n; i++)
		ga_nats_free(items[i].message);
	MemoryContextSwitchTo(before);
	MemoryContextReset(ingest->chunk);
	ga_feed_touch(feed, ingest->nats);
	return n > 0;
}

/* ---- dead letters that are to be handled again ---- */

typedef struct Again
{
	GaRetry retry;
	GaHandled handled;
	char *error;
	MemoryContext keep;
} Again;

static bool
claim_letter(void *arg)
{
	return ga_inbox_resolve(&((Again *) arg)->retry);
}

static void
handle_letter(void *arg)
{
	Again *again = arg;
	const GaSubscription *s = &again->retry.subscription;
	char *error = NULL;

	again->handled = ga_handler_call(s->handler, &again->retry.delivery, s->ack_wait_ms,
	                                 claim_letter, again, &error);
	again->error = error ? MemoryContextStrdup(again->keep, error) : NULL;
}

/* True: there was one. */
static bool
work_letter(Ingest *ingest)
{
	MemoryContext before = MemoryContextSwitchTo(ingest->chunk);
	Again again = {.keep = ingest->chunk};
	bool found;

	found = ga_inbox_take_retry(ingest->chunk, &again.retry) && again.retry.id != 0;
	if (found)
	{
		MemoryContextSwitchTo(ingest->chunk);
		if (!run_transaction(ingest, handle_letter, &again))
			(void) ga_inbox_retry_failed(&again.retry, ingest->error);
		else if (again.error)
			(void) ga_inbox_retry_failed(&again.retry, again.error);
		else if (again.handled == GA_HANDLED)
			ga_count(GA_COUNT_CONSUMED);
	}
	MemoryContextSwitchTo(before);
	MemoryContextReset(ingest->chunk);
	return found;
}

/* ---- the loop ---- */

static GaFeed *
find_feed(Ingest *ingest, const char *durable)
{
	int i;

	for (i = 0; i < ingest->nfeeds; i++)
		if (strcmp(ingest->feeds[i]->subscription.durable, durable) == 0)
			return ingest->feeds[i];
	return NULL;
}

static bool
listed(const GaFeed *feed, const GaSubscription *subscriptions, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (strcmp(subscriptions[i].durable, feed->subscription.durable) == 0)
			return true;
	return false;
}

/* Consumers of subscriptions that ended go, when the broker can be reached. */
static void
drop_feeds(Ingest *ingest, const GaSubscription *subscriptions, int n)
{
	char error[GA_NATS_ERROR_BYTES];
	int kept = 0;
	int i;

	for (i = 0; i < ingest->nfeeds; i++)
	{
		GaFeed *feed = ingest->feeds[i];

		if (listed(feed, subscriptions, n))
		{
			ingest->feeds[kept++] = feed;
			continue;
		}
		if (ga_nats_connected(ingest->nats) &&
		    !ga_nats_delete_consumer(ingest->nats, feed->subscription.stream,
		                             feed->subscription.durable, error))
			ereport(LOG, (errmsg("consumer %s of a former subscription stays: %s",
			                     feed->subscription.durable, error)));
		ga_feed_free(feed);
	}
	ingest->nfeeds = kept;
}

static void
reload(Ingest *ingest)
{
	GaSubscription *subscriptions;
	int n;
	int i;

	if (!ga_inbox_subscriptions(ingest->chunk, &subscriptions, &n))
		return;
	drop_feeds(ingest, subscriptions, n);
	if (n == 0)
	{
		ereport(LOG, (errmsg("no subscription is left for this role")));
		proc_exit(0);
	}
	for (i = 0; i < n; i++)
	{
		GaFeed *feed = find_feed(ingest, subscriptions[i].durable);

		if (!feed && ingest->nfeeds < FEEDS_MAX)
			ingest->feeds[ingest->nfeeds++] = ga_feed_new(&subscriptions[i]);
		else if (feed)
		{
			if (feed->subscription.ack_wait_ms != subscriptions[i].ack_wait_ms)
				ga_feed_reconnected(feed);
			feed->subscription = subscriptions[i];
		}
	}
	MemoryContextReset(ingest->chunk);
	ingest->reload_at = ga_monotonic_ns() + RELOAD_NS;
}

/* True: something was done, look again at once. */
static bool
turn(Ingest *ingest)
{
	bool busy = false;
	bool fresh;
	bool up = ga_link_up(ingest->nats, &fresh);
	int i;

	for (i = 0; i < ingest->nfeeds; i++)
	{
		if (fresh)
			ga_feed_reconnected(ingest->feeds[i]);
		if (up)
			ga_feed_tend(ingest->feeds[i], ingest->nats);
	}
	ga_feeds_deliver(ingest->feeds, ingest->nfeeds, ingest->nats);
	for (i = 0; i < ingest->nfeeds; i++)
		busy = work_feed(ingest, ingest->feeds[i]) || busy;
	return busy;
}

/* What ALTER ROLE set for people must not change what the bookkeeping relies on. */
static void
pin_session(void)
{
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_USERSET, PGC_S_SESSION);
}

void
ga_bridge_ingest_run(void)
{
	Ingest ingest = {0};
	bool woken = true;

	pin_session();
	ga_handler_setup();
	ingest.chunk =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch deliveries", ALLOCSET_DEFAULT_SIZES);
	ingest.nats = ga_link_open(GA_PEER_INGEST, "ingest");
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (woken || ga_monotonic_ns() >= ingest.reload_at)
		{
			reload(&ingest);
			while (work_letter(&ingest))
				CHECK_FOR_INTERRUPTS();
		}
		woken = turn(&ingest) ? false : ga_link_wait(ingest.nats, 1000);
	}
}
