/* SPDX-License-Identifier: PostgreSQL */
/*
 * Reading by snapshot difference. Ids are handed out before commits, so `id > last` would pass over
 * a transaction that commits late. Instead a batch is what a new snapshot sees and the one before
 * did not: rows whose transaction was running or had not begun then. Within a batch the order is by
 * id, page by page. The cursor (since, upto, last_id) is an append-only log; it is written after
 * the acknowledgements, so a crash repeats messages, under the same ids, and loses none.
 */
#include "outbox.h"

#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "backoff.h"
#include "goldenarch/bridge.h"
#include "goldenarch/clock.h"
#include "goldenarch/deadletter.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "wal.h"
#include "worker.h"

#define ATTEMPTS_MAX 8
#define RETRY_BASE_MS 250
#define RETRY_CAP_MS 16000
#define COUNT_MAX 1000000
/* A snapshot before the first transaction: it sees nothing. */
#define NOTHING_SEEN "3:3:"

static struct
{
	bool known;
	char since[16384];
	char upto[16384]; /* empty: no batch is open */
	int64 last_id;
} cursor;

static int64
cluster(void)
{
	return (int64) GetSystemIdentifier();
}

static void
keep_snapshot(char *where, const char *snapshot)
{
	if (strlcpy(where, snapshot, sizeof(cursor.since)) >= sizeof(cursor.since))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("too many transactions are running to keep a snapshot of them")));
}

static void
load_cursor(void)
{
	static GaStmt find =
	    GA_STMT("SELECT since::pg_catalog.text, upto::pg_catalog.text, last_id::pg_catalog.int8"
	            " FROM goldenarch.outbox_batches WHERE cluster OPERATOR(pg_catalog.=) $1"
	            " ORDER BY id DESC LIMIT 1",
	            INT8OID);
	GaRows rows;

	if (cursor.known)
		return;
	rows = ga_query(&find, ga_int8(cluster()));
	cursor.upto[0] = '\0';
	cursor.last_id = 0;
	if (rows.count == 0)
		keep_snapshot(cursor.since, NOTHING_SEEN);
	else if (ga_row_isnull(&rows, 0, 3))
		keep_snapshot(cursor.since, ga_row_text_present(&rows, 0, 2));
	else
	{
		keep_snapshot(cursor.since, ga_row_text_present(&rows, 0, 1));
		keep_snapshot(cursor.upto, ga_row_text_present(&rows, 0, 2));
		cursor.last_id = ga_row_int8(&rows, 0, 3);
	}
	cursor.known = true;
}

static void
adopt(void *arg)
{
	static GaStmt restamp = GA_STMT(
	    "UPDATE goldenarch.outbox_rows AS o SET cluster = $1, xid = pg_catalog.pg_current_xact_id()"
	    " WHERE o.cluster OPERATOR(pg_catalog.<>) $1 AND NOT EXISTS ("
	    "  SELECT FROM (SELECT DISTINCT ON (b.cluster) b.cluster, b.since, b.upto, b.last_id"
	    "   FROM goldenarch.outbox_batches AS b ORDER BY b.cluster, b.id DESC) AS seen"
	    "  WHERE seen.cluster OPERATOR(pg_catalog.=) o.cluster"
	    "  AND (pg_catalog.pg_visible_in_snapshot(o.xid, seen.since)"
	    "   OR pg_catalog.pg_visible_in_snapshot(o.xid, seen.upto)"
	    "   AND (seen.last_id IS NULL OR o.id OPERATOR(pg_catalog.<=) seen.last_id)))",
	    INT8OID);
	GaRows rows;

	(void) arg;
	rows = ga_query(&restamp, ga_int8(cluster()));
	if (rows.count > 0)
		ereport(LOG, (errmsg("took over %llu unpublished messages of another cluster",
		                     (unsigned long long) rows.count)));
}

bool
ga_outbox_adopt(void)
{
	return ga_worker_transaction("adopting messages", adopt, NULL);
}

/* A new batch, where there is anything new: its snapshot, and where its ids begin. */
static bool
open_batch(void)
{
	static GaStmt look = GA_STMT(
	    "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text, (SELECT pg_catalog.min(n.id)"
	    " FROM (SELECT o.id FROM goldenarch.outbox_rows AS o"
	    "   WHERE o.xid OPERATOR(pg_catalog.>=) "
	    "pg_catalog.pg_snapshot_xmax($1::pg_catalog.pg_snapshot)"
	    "   AND o.cluster OPERATOR(pg_catalog.=) $2"
	    "  UNION ALL SELECT o.id FROM goldenarch.outbox_rows AS o"
	    "   WHERE o.xid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT"
	    "    pg_catalog.pg_snapshot_xip($1::pg_catalog.pg_snapshot)))"
	    "   AND o.cluster OPERATOR(pg_catalog.=) $2) AS n)::pg_catalog.int8",
	    TEXTOID, INT8OID);
	GaRows rows = ga_query(&look, ga_text(cursor.since), ga_int8(cluster()));

	if (ga_row_isnull(&rows, 0, 2))
	{
		keep_snapshot(cursor.since, ga_row_text_present(&rows, 0, 1));
		return false;
	}
	keep_snapshot(cursor.upto, ga_row_text_present(&rows, 0, 1));
	cursor.last_id = ga_row_int8(&rows, 0, 2) - 1;
	/* What we publish must not be undone by a crash: a commit may still be on its way to disk. */
	(void) ga_wal_flush();
	return true;
}

static void
copy_row(GaPage *page, GaOutboxRow *row, const GaRows *rows, uint64 i)
{
	MemoryContext before = MemoryContextSwitchTo(page->context);
	Jsonb *headers = ga_row_jsonb_present(rows, i, 5);
	bytea *payload = ga_row_bytea_present(rows, i, 6);

	row->id = ga_row_int8(rows, i, 1);
	row->tenant = pstrdup(ga_row_text_present(rows, i, 2));
	row->subject = pstrdup(ga_row_text_present(rows, i, 3));
	row->msg_id = pstrdup(ga_row_text_present(rows, i, 4));
	row->headers = palloc(VARSIZE(headers));
	memcpy(row->headers, headers, VARSIZE(headers));
	row->payload = palloc(VARSIZE(payload));
	memcpy(row->payload, payload, VARSIZE(payload));
	MemoryContextSwitchTo(before);
}

static void
copy_page(GaPage *page, const GaRows *rows)
{
	uint64 i;

	MemoryContextReset(page->context);
	page->n = (int) rows->count;
	page->rows = MemoryContextAllocZero(page->context, sizeof(GaOutboxRow) * (rows->count + 1));
	for (i = 0; i < rows->count; i++)
		copy_row(page, &page->rows[i], rows, i);
}

static void
read_page(void *arg)
{
	static GaStmt find = GA_STMT(
	    "SELECT o.id::pg_catalog.int8, o.tenant::pg_catalog.text, o.subject::pg_catalog.text,"
	    " o.msg_id::pg_catalog.text, o.headers::pg_catalog.jsonb, o.payload::pg_catalog.bytea,"
	    " EXISTS (SELECT FROM goldenarch.outbox_parked AS p"
	    "  WHERE p.subject OPERATOR(pg_catalog.=) o.subject)::pg_catalog.bool"
	    " FROM (SELECT r.*, pg_catalog.sum(pg_catalog.octet_length(r.payload))"
	    "   OVER (ORDER BY r.id ROWS UNBOUNDED PRECEDING) AS bytes"
	    "  FROM (SELECT c.* FROM goldenarch.outbox_rows AS c"
	    "   WHERE c.id OPERATOR(pg_catalog.>) $1 AND c.cluster OPERATOR(pg_catalog.=) $2"
	    "   AND NOT pg_catalog.pg_visible_in_snapshot(c.xid, $3::pg_catalog.pg_snapshot)"
	    "   AND pg_catalog.pg_visible_in_snapshot(c.xid, $4::pg_catalog.pg_snapshot)"
	    "   ORDER BY c.id LIMIT $5) AS r) AS o"
	    " WHERE o.bytes OPERATOR(pg_catalog.-) pg_catalog.octet_length(o.payload)"
	    "  OPERATOR(pg_catalog.<) $6 ORDER BY o.id",
	    INT8OID, INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID);
	GaPage *page = arg;
	int64 bytes = 0;
	GaRows rows;
	int i;

	load_cursor();
	page->n = 0;
	page->parked = false;
	page->whole = false;
	if (!cursor.upto[0] && !open_batch())
		return;
	rows = ga_query(&find, ga_int8(cursor.last_id), ga_int8(cluster()), ga_text(cursor.since),
	                ga_text(cursor.upto), ga_int8(GA_PAGE_ROWS), ga_int8(GA_PAGE_BYTES));
	copy_page(page, &rows);
	for (i = 0; i < page->n; i++)
	{
		if (ga_row_bool(&rows, i, 7))
			page->rows[i].fate = GA_FATE_WAITS;
		bytes += VARSIZE_ANY_EXHDR(page->rows[i].payload);
	}
	page->whole = page->n < GA_PAGE_ROWS && bytes < GA_PAGE_BYTES;
	if (page->n > 0)
		return;
	/* The batch ended with the page before. */
	keep_snapshot(cursor.since, cursor.upto);
	cursor.upto[0] = '\0';
}

bool
ga_outbox_read(GaPage *page)
{
	bool ok = ga_worker_transaction("reading the outbox", read_page, page);

	if (!ok)
		cursor.known = false;
	return ok;
}

typedef struct Parked
{
	GaPage *page;
	long *next_ms;
} Parked;

/*
 * The first of each subject when it is due, and those behind a first that went through. LATERAL
 * with a LIMIT pins the plan to one index lookup a parked message: a merge join would read the
 * outbox.
 */
static void
read_parked(void *arg)
{
	static GaStmt find = GA_STMT(
	    "SELECT o.id::pg_catalog.int8, o.tenant::pg_catalog.text, o.subject::pg_catalog.text,"
	    " o.msg_id::pg_catalog.text, o.headers::pg_catalog.jsonb, o.payload::pg_catalog.bytea,"
	    " p.attempts::pg_catalog.int4"
	    " FROM (SELECT q.* FROM goldenarch.outbox_parked AS q"
	    "  WHERE q.next_at OPERATOR(pg_catalog.<=) $1 AND NOT EXISTS ("
	    "   SELECT FROM goldenarch.outbox_parked AS a"
	    "   WHERE a.subject OPERATOR(pg_catalog.=) q.subject"
	    "   AND a.outbox_id OPERATOR(pg_catalog.<) q.outbox_id"
	    "   AND (a.attempts OPERATOR(pg_catalog.>) 0 OR q.attempts OPERATOR(pg_catalog.>) 0))"
	    "  ORDER BY q.outbox_id LIMIT 50) AS p"
	    " CROSS JOIN LATERAL (SELECT r.* FROM goldenarch.outbox_rows AS r"
	    "  WHERE r.id OPERATOR(pg_catalog.=) p.outbox_id LIMIT 1) AS o ORDER BY o.id",
	    TIMESTAMPTZOID);
	static GaStmt next = GA_STMT("SELECT pg_catalog.min(next_at)::pg_catalog.timestamptz"
	                             " FROM goldenarch.outbox_parked");
	Parked *parked = arg;
	GaRows rows = ga_query(&find, ga_timestamp(ga_now()));
	int i;

	copy_page(parked->page, &rows);
	parked->page->parked = true;
	for (i = 0; i < parked->page->n; i++)
		parked->page->rows[i].attempts = ga_row_int4(&rows, i, 7);
	rows = ga_query(&next);
	*parked->next_ms = 1000;
	if (!ga_row_isnull(&rows, 0, 1))
	{
		int64 left = (ga_row_timestamp(&rows, 0, 1) - ga_now()) / 1000;

		*parked->next_ms = (long) Max(10, Min(1000, left));
	}
}

bool
ga_outbox_read_parked(GaPage *page, long *next_ms)
{
	Parked parked = {page, next_ms};

	page->n = 0;
	*next_ms = 1000;
	return ga_worker_transaction("reading parked messages", read_parked, &parked);
}

/* ---- what became of it ---- */

static void
park(const GaOutboxRow *row)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.outbox_parked (outbox_id, subject, attempts, next_at, error)"
	    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (outbox_id) DO NOTHING",
	    INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID);
	bool refused = row->fate == GA_FATE_REFUSED;
	int64 wait_ms = refused ? RETRY_BASE_MS : 0;

	ga_query(&insert, ga_int8(row->id), ga_text(row->subject), ga_int4(refused ? 1 : 0),
	         ga_timestamp(ga_now() + wait_ms * 1000),
	         ga_text(refused ? row->error : "an earlier message of this subject waits"));
}

static void
unpark(const GaOutboxRow *row)
{
	static GaStmt delete = GA_STMT(
	    "DELETE FROM goldenarch.outbox_parked WHERE outbox_id OPERATOR(pg_catalog.=) $1", INT8OID);

	ga_query(&delete, ga_int8(row->id));
}

/* The first of its subject went through: those behind it may follow at once. */
static void
release(const char *subject)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.outbox_parked SET attempts = 0, next_at = $2"
	            " WHERE subject OPERATOR(pg_catalog.=) $1 AND attempts OPERATOR(pg_catalog.>) 0",
	            TEXTOID, TIMESTAMPTZOID);

	ga_query(&update, ga_text(subject), ga_timestamp(ga_now()));
}

static void
postpone(const GaOutboxRow *row)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.outbox_parked SET attempts = attempts OPERATOR(pg_catalog.+) 1,"
	            " next_at = $2, error = $3 WHERE subject OPERATOR(pg_catalog.=) $1",
	            TEXTOID, TIMESTAMPTZOID, TEXTOID);
	int64 wait_ms = ga_backoff_ceiling(row->attempts, RETRY_BASE_MS, RETRY_CAP_MS);

	ga_query(&update, ga_text(row->subject), ga_timestamp(ga_now() + wait_ms * 1000),
	         ga_text(row->error));
}

static bool
is_copy(const GaOutboxRow *row)
{
	JsonbValue v;

	return getKeyJsonValueFromContainer(&row->headers->root, "Ga-Dead-Letter",
	                                    strlen("Ga-Dead-Letter"), &v) != NULL;
}

static void
give_up(const GaOutboxRow *row, const char *error, int attempts)
{
	GaDeadLetter letter = {.tenant = row->tenant,
	                       .source = "publish",
	                       .subject = row->subject,
	                       .payload = VARDATA_ANY(row->payload),
	                       .payload_bytes = VARSIZE_ANY_EXHDR(row->payload),
	                       .headers = row->headers,
	                       .error = error,
	                       .error_count = attempts,
	                       .origin = psprintf(INT64_FORMAT, row->id),
	                       .msg_id = row->msg_id};

	if (is_copy(row))
		ereport(WARNING, (errmsg("the copy of a dead letter on %s could not be published: %s",
		                         row->subject, error),
		                  errdetail("The dead letter itself is in goldenarch.dlq_messages.")));
	else
		(void) ga_dead_letter(&letter);
	unpark(row);
}

/* Every parked message of the subject whose attempts are used up. */
static void
give_up_subject(GaPage *page, const char *subject)
{
	static GaStmt find = GA_STMT(
	    "SELECT o.id::pg_catalog.int8, o.tenant::pg_catalog.text, o.subject::pg_catalog.text,"
	    " o.msg_id::pg_catalog.text, o.headers::pg_catalog.jsonb, o.payload::pg_catalog.bytea,"
	    " p.attempts::pg_catalog.int4, p.error::pg_catalog.text"
	    " FROM goldenarch.outbox_parked AS p"
	    " CROSS JOIN LATERAL (SELECT r.* FROM goldenarch.outbox_rows AS r"
	    "  WHERE r.id OPERATOR(pg_catalog.=) p.outbox_id LIMIT 1) AS o"
	    " WHERE p.subject OPERATOR(pg_catalog.=) $1 AND p.attempts OPERATOR(pg_catalog.>=) $2"
	    " ORDER BY p.outbox_id LIMIT 50",
	    TEXTOID, INT4OID);
	GaRows rows = ga_query(&find, ga_text(subject), ga_int4(ATTEMPTS_MAX));
	uint64 i;

	for (i = 0; i < rows.count; i++)
	{
		GaOutboxRow row = {0};

		copy_row(page, &row, &rows, i);
		give_up(&row, ga_row_text_present(&rows, i, 8), ga_row_int4(&rows, i, 7));
	}
}

static void
append_cursor(int64 last_id, bool whole)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.outbox_batches (id, cluster, since, upto, last_id, at) VALUES"
	    " (pg_catalog.nextval('goldenarch.outbox_batch_id'::pg_catalog.regclass), $1,"
	    " $2::pg_catalog.pg_snapshot, $3::pg_catalog.pg_snapshot, $4, "
	    "pg_catalog.clock_timestamp())",
	    INT8OID, TEXTOID, TEXTOID, INT8OID);

	ga_query(&insert, ga_int8(cluster()), ga_text(cursor.since), ga_text(cursor.upto),
	         whole ? ga_null() : ga_int8(last_id));
}

typedef struct Settle
{
	GaPage *page;
	int n; /* rows before the first open one */
} Settle;

static void
settle_row(GaPage *page, const GaOutboxRow *row)
{
	switch (row->fate)
	{
		case GA_FATE_ACKED:
			if (page->parked)
				unpark(row);
			if (page->parked && row->attempts > 0)
				release(row->subject);
			break;
		case GA_FATE_WAITS:
			park(row);
			break;
		case GA_FATE_REFUSED:
			if (page->parked)
			{
				postpone(row);
				give_up_subject(page, row->subject);
			}
			else
				park(row);
			break;
		case GA_FATE_UNSENDABLE:
			give_up(row, row->error, row->attempts + 1);
			break;
		case GA_FATE_OPEN:
			break;
	}
}

static void
settle(void *arg)
{
	Settle *s = arg;
	int i;

	for (i = 0; i < s->n; i++)
		settle_row(s->page, &s->page->rows[i]);
	if (!s->page->parked && s->n > 0)
		append_cursor(s->page->rows[s->n - 1].id, s->page->whole && s->n == s->page->n);
}

bool
ga_outbox_settle(GaPage *page, int *settled)
{
	Settle s = {page, 0};
	int64 acked = 0;

	while (s.n < page->n && page->rows[s.n].fate != GA_FATE_OPEN)
		acked += page->rows[s.n++].fate == GA_FATE_ACKED;
	*settled = s.n;
	if (s.n == 0)
		return true;
	if (!ga_worker_transaction("recording what was published", settle, &s))
	{
		/* What was acknowledged is published again, under the same ids. */
		cursor.known = false;
		return false;
	}
	ga_count_n(GA_COUNT_PUBLISHED, acked);
	ga_bridge_report_published(acked, acked);
	if (page->parked)
		return true;
	cursor.last_id = page->rows[s.n - 1].id;
	if (page->whole && s.n == page->n)
	{
		strlcpy(cursor.since, cursor.upto, sizeof(cursor.since));
		cursor.upto[0] = '\0';
	}
	return true;
}

static void
count(void *arg)
{
	static GaStmt find = GA_STMT(
	    "SELECT (SELECT pg_catalog.count(*) FROM (SELECT FROM goldenarch.outbox_rows AS o"
	    "  WHERE o.xid OPERATOR(pg_catalog.>=) "
	    "pg_catalog.pg_snapshot_xmin($1::pg_catalog.pg_snapshot)"
	    "  AND o.cluster OPERATOR(pg_catalog.=) $2"
	    "  AND NOT pg_catalog.pg_visible_in_snapshot(o.xid, $1::pg_catalog.pg_snapshot)"
	    "  AND (o.id OPERATOR(pg_catalog.>) $3 OR $4 IS NULL"
	    "   OR NOT pg_catalog.pg_visible_in_snapshot(o.xid, $4::pg_catalog.pg_snapshot))"
	    "  LIMIT $5) AS waiting)"
	    " OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM goldenarch.outbox_parked)",
	    TEXTOID, INT8OID, INT8OID, TEXTOID, INT8OID);
	GaRows rows;

	(void) arg;
	load_cursor();
	rows = ga_query(&find, ga_text(cursor.since), ga_int8(cluster()), ga_int8(cursor.last_id),
	                ga_text(cursor.upto[0] ? cursor.upto : NULL), ga_int8(COUNT_MAX));
	ga_bridge_report_backlog(ga_row_int8(&rows, 0, 1));
}

bool
ga_outbox_count(void)
{
	return ga_worker_transaction("counting messages", count, NULL);
}
