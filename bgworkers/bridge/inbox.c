/* SPDX-License-Identifier: PostgreSQL */
/*
 * Bookkeeping of deliveries, as the extension's owner whatever role the process has. The inbox row
 * commits with the handler's effects, and before the acknowledgement: a message that comes again
 * finds it. Failures are counted in rows, not by the broker, whose count also grows when a worker
 * is restarted. A repeated attempt is on disk before the handler is called, so that a message that
 * kills the process is counted too.
 */
#include "inbox.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "goldenarch/clock.h"
#include "goldenarch/deadletter.h"
#include "goldenarch/query.h"
#include "worker.h"

static const GaPrincipal as_ingest = {.kind = GA_SYSTEM,
                                      .subject = "ingest",
                                      .tenant = "",
                                      .expires_at = DT_NOEND};
static const int64 default_backoff_ms[] = {100, 500, 2000, 10000};

static bool
insert_inbox(const GaSubscription *subscription, const GaDelivery *delivery)
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.inbox (subscription, key, stream, seq, handled_at)"
	            " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (subscription, key) DO NOTHING",
	            TEXTOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID);

	return ga_query(&insert, ga_text(subscription->name), ga_text(delivery->key),
	                ga_text(delivery->stream), ga_int8(delivery->seq), ga_timestamp(ga_now()))
	           .count > 0;
}

static void
delete_attempts(const GaSubscription *subscription, const GaDelivery *delivery)
{
	static GaStmt delete =
	    GA_STMT("DELETE FROM goldenarch.delivery_attempts"
	            " WHERE subscription OPERATOR(pg_catalog.=) $1 AND key OPERATOR(pg_catalog.=) $2",
	            TEXTOID, TEXTOID);

	ga_query(&delete, ga_text(subscription->name), ga_text(delivery->key));
}

/* Returns the attempts so far. */
static int
count_attempt(const GaSubscription *subscription, const GaDelivery *delivery, int started,
              int failed, const char *error)
{
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.delivery_attempts AS a"
	    " (subscription, key, started, failed, error, updated_at) VALUES ($1, $2, $3, $4, $5, $6)"
	    " ON CONFLICT (subscription, key) DO UPDATE SET"
	    " started = a.started OPERATOR(pg_catalog.+) excluded.started,"
	    " failed = a.failed OPERATOR(pg_catalog.+) excluded.failed,"
	    " error = COALESCE(excluded.error, a.error), updated_at = excluded.updated_at"
	    " RETURNING started::pg_catalog.int4",
	    TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TIMESTAMPTZOID);
	GaRows rows =
	    ga_query(&upsert, ga_text(subscription->name), ga_text(delivery->key), ga_int4(started),
	             ga_int4(failed), ga_text(error), ga_timestamp(ga_now()));

	return ga_row_int4(&rows, 0, 1);
}

static void
bury(const GaSubscription *subscription, const GaDelivery *delivery, const char *error,
     int attempts)
{
	(void) ga_dead_letter(&(GaDeadLetter){.tenant = delivery->tenant,
	                                      .source = "consume",
	                                      .subject = delivery->subject,
	                                      .payload = delivery->payload,
	                                      .payload_bytes = delivery->payload_bytes,
	                                      .headers = delivery->headers,
	                                      .error = error,
	                                      .error_count = attempts,
	                                      .origin = subscription->name,
	                                      .stream = delivery->stream,
	                                      .seq = delivery->seq,
	                                      .msg_id = delivery->msg_id,
	                                      .published_at = delivery->published_at});
	(void) insert_inbox(subscription, delivery);
	delete_attempts(subscription, delivery);
}

/* ---- in the handler's transaction ---- */

bool
ga_inbox_claim(const GaSubscription *subscription, const GaDelivery *delivery)
{
	GaCall call;
	bool first;

	ga_enter_as(&call, &as_ingest);
	first = insert_inbox(subscription, delivery);
	ga_leave(&call);
	return first;
}

void
ga_inbox_forget(const GaSubscription *subscription, const GaDelivery *delivery)
{
	GaCall call;

	ga_enter_as(&call, &as_ingest);
	delete_attempts(subscription, delivery);
	ga_leave(&call);
}

static int64
fail(const GaSubscription *subscription, const GaDelivery *delivery, const char *error,
     bool for_good, bool counted)
{
	int attempts = count_attempt(subscription, delivery, counted ? 0 : 1, 1, error);
	int i;

	if (for_good || attempts >= subscription->max_deliver)
	{
		bury(subscription, delivery, error, attempts);
		return -1;
	}
	if (subscription->nbackoff == 0)
		return default_backoff_ms[Min(attempts, (int) lengthof(default_backoff_ms)) - 1];
	i = Min(attempts, subscription->nbackoff) - 1;
	return subscription->backoff_ms[i];
}

int64
ga_inbox_fail(const GaSubscription *subscription, const GaDelivery *delivery, const char *error,
              bool for_good, bool counted)
{
	GaCall call;
	int64 wait_ms;

	ga_enter_as(&call, &as_ingest);
	wait_ms = fail(subscription, delivery, error, for_good, counted);
	ga_leave(&call);
	return wait_ms;
}

/* ---- transactions of their own ---- */

typedef struct Job
{
	const GaSubscription *subscription;
	const GaDelivery *delivery;
	const char *error;
	bool counted;
	GaMark mark;
	int64 wait_ms;
} Job;

static void
mark(void *arg)
{
	static GaStmt find =
	    GA_STMT("SELECT 1::pg_catalog.int4 FROM goldenarch.inbox"
	            " WHERE subscription OPERATOR(pg_catalog.=) $1 AND key OPERATOR(pg_catalog.=) $2",
	            TEXTOID, TEXTOID);
	Job *job = arg;
	int attempts;

	ForceSyncCommit();
	job->mark = GA_MARK_DONE;
	if (ga_query(&find, ga_text(job->subscription->name), ga_text(job->delivery->key)).count > 0)
		return;
	attempts = count_attempt(job->subscription, job->delivery, 1, 0, NULL);
	job->mark = GA_MARK_CALL;
	if (attempts <= job->subscription->max_deliver)
		return;
	bury(job->subscription, job->delivery,
	     psprintf("its handling ended neither well nor badly %d times: it may kill the process",
	              attempts - 1),
	     attempts - 1);
	job->mark = GA_MARK_DEAD;
}

bool
ga_inbox_mark(const GaSubscription *subscription, const GaDelivery *delivery, GaMark *result)
{
	Job job = {.subscription = subscription, .delivery = delivery};
	bool ok = ga_worker_transaction("marking an attempt", mark, &job);

	*result = job.mark;
	return ok;
}

static void
fail_alone(void *arg)
{
	Job *job = arg;

	ForceSyncCommit();
	job->wait_ms = fail(job->subscription, job->delivery, job->error, false, job->counted);
}

bool
ga_inbox_fail_alone(const GaSubscription *subscription, const GaDelivery *delivery,
                    const char *error, bool counted, int64 *wait_ms)
{
	Job job = {
	    .subscription = subscription, .delivery = delivery, .error = error, .counted = counted};
	bool ok = ga_worker_transaction("recording a failure", fail_alone, &job);

	*wait_ms = job.wait_ms;
	return ok;
}

#define SUBSCRIPTION_COLUMNS                                                                   \
	"s.name::pg_catalog.text, s.stream::pg_catalog.text, s.subject::pg_catalog.text,"          \
	" s.handler::pg_catalog.text, s.durable::pg_catalog.text, s.max_deliver::pg_catalog.int4," \
	" (EXTRACT(epoch FROM s.ack_wait) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int4,"          \
	" s.batch::pg_catalog.int4, ARRAY(SELECT ((EXTRACT(epoch FROM b.wait)"                     \
	" OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8)::pg_catalog.text"                         \
	" FROM pg_catalog.unnest(s.backoff) WITH ORDINALITY AS b (wait, i) ORDER BY b.i),"         \
	" s.ack_floor::pg_catalog.int8, s.stream_created::pg_catalog.int8"

static void
read_subscription(GaSubscription *s, const GaRows *rows, uint64 i)
{
	char **waits;
	int n;

	memset(s, 0, sizeof(*s));
	strlcpy(s->name, ga_row_text_present(rows, i, 1), sizeof(s->name));
	strlcpy(s->stream, ga_row_text_present(rows, i, 2), sizeof(s->stream));
	strlcpy(s->subject, ga_row_text_present(rows, i, 3), sizeof(s->subject));
	strlcpy(s->handler, ga_row_text_present(rows, i, 4), sizeof(s->handler));
	strlcpy(s->durable, ga_row_text_present(rows, i, 5), sizeof(s->durable));
	s->max_deliver = Max(1, ga_row_int4(rows, i, 6));
	s->ack_wait_ms = Max(1000, ga_row_int4(rows, i, 7));
	s->batch = Max(1, ga_row_int4(rows, i, 8));
	waits = ga_row_text_array(rows, i, 9, &n);
	for (s->nbackoff = 0; s->nbackoff < Min(n, GA_BACKOFF_MAX); s->nbackoff++)
		s->backoff_ms[s->nbackoff] = strtoll(waits[s->nbackoff], NULL, 10);
	s->ack_floor = ga_row_int8(rows, i, 10);
	s->stream_created = ga_row_int8(rows, i, 11);
}

typedef struct Listing
{
	MemoryContext context;
	GaSubscription *subscriptions;
	int n;
} Listing;

static void
list(void *arg)
{
	static GaStmt find =
	    GA_STMT("SELECT " SUBSCRIPTION_COLUMNS " FROM goldenarch.subscriptions AS s"
	            " WHERE s.pg_role OPERATOR(pg_catalog.=) $1::pg_catalog.name ORDER BY s.name",
	            TEXTOID);
	Listing *listing = arg;
	GaRows rows = ga_query(&find, ga_text(GetUserNameFromId(GetSessionUserId(), false)));
	uint64 i;

	listing->n = (int) rows.count;
	listing->subscriptions =
	    MemoryContextAllocZero(listing->context, sizeof(GaSubscription) * (rows.count + 1));
	for (i = 0; i < rows.count; i++)
		read_subscription(&listing->subscriptions[i], &rows, i);
}

bool
ga_inbox_subscriptions(MemoryContext context, GaSubscription **subscriptions, int *n)
{
	Listing listing = {.context = context};
	bool ok;

	ok = ga_worker_transaction("reading subscriptions", list, &listing);
	*subscriptions = listing.subscriptions;
	*n = listing.n;
	return ok;
}

typedef struct Floor
{
	const GaSubscription *subscription;
	int64 floor;
	int64 stream_created;
} Floor;

static void
keep_floor(void *arg)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.subscriptions SET ack_floor = $3, stream_created = $4"
	            " WHERE name OPERATOR(pg_catalog.=) $1 AND durable OPERATOR(pg_catalog.=) $2",
	            TEXTOID, TEXTOID, INT8OID, INT8OID);
	Floor *f = arg;

	ga_query(&update, ga_text(f->subscription->name), ga_text(f->subscription->durable),
	         ga_int8(f->floor), ga_int8(f->stream_created));
}

bool
ga_inbox_keep_floor(const GaSubscription *subscription, int64 floor, int64 stream_created)
{
	Floor f = {subscription, floor, stream_created};

	return ga_worker_transaction("keeping the acknowledged floor", keep_floor, &f);
}

/* ---- dead letters that are to be handled again ---- */

typedef struct Taking
{
	MemoryContext context;
	GaRetry *retry;
} Taking;

static void
read_letter(const Taking *taking, const GaRows *rows)
{
	MemoryContext before = MemoryContextSwitchTo(taking->context);
	GaDelivery *d = &taking->retry->delivery;
	bytea *payload = ga_row_bytea_present(rows, 0, 15);
	Jsonb *headers = ga_row_jsonb_present(rows, 0, 16);
	Jsonb *headers_copy = palloc(VARSIZE(headers));
	void *payload_copy = palloc(VARSIZE_ANY_EXHDR(payload) + 1);

	memcpy(headers_copy, headers, VARSIZE(headers));
	memcpy(payload_copy, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload));
	taking->retry->requester = pstrdup(ga_row_text_present(rows, 0, 13));
	d->subject = pstrdup(ga_row_text_present(rows, 0, 14));
	d->payload = payload_copy;
	d->payload_bytes = VARSIZE_ANY_EXHDR(payload);
	d->headers = headers_copy;
	d->stream = pstrdup(ga_row_text_present(rows, 0, 17));
	d->seq = ga_row_int8(rows, 0, 18);
	d->msg_id = ga_row_isnull(rows, 0, 19) ? NULL : pstrdup(ga_row_text(rows, 0, 19));
	d->delivered = ga_row_int4(rows, 0, 20) + 1;
	d->published_at = ga_row_isnull(rows, 0, 21) ? 0 : ga_row_timestamp(rows, 0, 21);
	MemoryContextSwitchTo(before);
}

static void
take_retry(void *arg)
{
	static GaStmt find = GA_STMT(
	    "SELECT " SUBSCRIPTION_COLUMNS ", d.id::pg_catalog.int8, d.retry_by::pg_catalog.text,"
	    " d.subject::pg_catalog.text, d.payload::pg_catalog.bytea, d.headers::pg_catalog.jsonb,"
	    " COALESCE(d.stream, '')::pg_catalog.text, COALESCE(d.seq, 0)::pg_catalog.int8,"
	    " d.msg_id::pg_catalog.text, d.error_count::pg_catalog.int4,"
	    " d.published_at::pg_catalog.timestamptz"
	    " FROM goldenarch.dead_letters_rows AS d"
	    " JOIN goldenarch.subscriptions AS s ON s.name OPERATOR(pg_catalog.=) d.origin"
	    " WHERE d.retry_by IS NOT NULL AND d.resolved_at IS NULL"
	    " AND d.source OPERATOR(pg_catalog.=) 'consume'"
	    " AND s.pg_role OPERATOR(pg_catalog.=) $1::pg_catalog.name"
	    " ORDER BY d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED",
	    TEXTOID);
	static GaStmt update = GA_STMT("UPDATE goldenarch.dead_letters_rows SET retry_by = NULL,"
	                               " error_count = error_count OPERATOR(pg_catalog.+) 1,"
	                               " error = 'the worker ended while the handler ran again'"
	                               " WHERE id OPERATOR(pg_catalog.=) $1",
	                               INT8OID);
	Taking *taking = arg;
	GaRows rows = ga_query(&find, ga_text(GetUserNameFromId(GetSessionUserId(), false)));

	taking->retry->id = 0;
	if (rows.count == 0)
		return;
	read_subscription(&taking->retry->subscription, &rows, 0);
	read_letter(taking, &rows);
	taking->retry->id = ga_row_int8(&rows, 0, 12);
	ga_query(&update, ga_int8(taking->retry->id));
}

bool
ga_inbox_take_retry(MemoryContext context, GaRetry *retry)
{
	Taking taking = {context, retry};

	retry->id = 0;
	return ga_worker_transaction("taking a dead letter", take_retry, &taking);
}

bool
ga_inbox_resolve(const GaRetry *retry)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.dead_letters_rows SET resolved_at = $2, resolved_by = $3,"
	            " resolution_notes = 'handled again' WHERE id OPERATOR(pg_catalog.=) $1"
	            " AND resolved_at IS NULL",
	            INT8OID, TIMESTAMPTZOID, TEXTOID);
	GaCall call;
	bool first;

	ga_enter_as(&call, &as_ingest);
	first = ga_query(&update, ga_int8(retry->id), ga_timestamp(ga_now()), ga_text(retry->requester))
	            .count > 0;
	ga_leave(&call);
	return first;
}

typedef struct Failed
{
	const GaRetry *retry;
	const char *error;
} Failed;

static void
retry_failed(void *arg)
{
	static GaStmt update = GA_STMT("UPDATE goldenarch.dead_letters_rows SET error = $2"
	                               " WHERE id OPERATOR(pg_catalog.=) $1",
	                               INT8OID, TEXTOID);
	Failed *failed = arg;

	ga_query(&update, ga_int8(failed->retry->id), ga_text(failed->error));
}

bool
ga_inbox_retry_failed(const GaRetry *retry, const char *error)
{
	Failed failed = {retry, error};

	return ga_worker_transaction("recording a failed retry", retry_failed, &failed);
}
