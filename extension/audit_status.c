/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_status() and what health() says of sealing: read from the tree's row, its last head, the
 * rows that are not sealed yet and the anchor that the relay remembers. No locks.
 */
#include "goldenarch/seal.h"

#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "goldenarch/shmem.h"
#include "audit_seal.h"
#include "bridge_state.h"

#define LATE_SECONDS 10.0
#define SILENT_SECONDS 90.0

typedef struct Status
{
	int32 incarnation; /* 0: no tree yet */
	char *origin;
	int64 size;
	int64 minimum_index;
	char *fork;
	char *stopped;
	char *unsigned_reason;
	int64 head_size;
	double head_age; /* s */
	int64 unsealed;
	double lag; /* s: of the oldest row that is not sealed */
	int64 anchor_size;
	double anchor_age;
	bool anchored;
	int64 holds;
} Status;

/* One statement, so that its numbers belong together. Rows of transactions that still run are not
 * seen by it, and not late. */
static GaStmt read_status = GA_READ(
    "SELECT t.incarnation::pg_catalog.int4, t.origin::pg_catalog.text, t.size::pg_catalog.int8, "
    "t.minimum_index::pg_catalog.int8, t.fork::pg_catalog.text, t.stopped::pg_catalog.text, "
    "t.unsigned::pg_catalog.text, coalesce(h.size, -1)::pg_catalog.int8, "
    "pg_catalog.date_part('epoch', $1 OPERATOR(pg_catalog.-) h.signed_at)::pg_catalog.float8, "
    "u.n::pg_catalog.int8, coalesce(pg_catalog.date_part('epoch', $1 OPERATOR(pg_catalog.-) "
    "u.oldest), 0)::pg_catalog.float8, coalesce(a.size, -1)::pg_catalog.int8, "
    "pg_catalog.date_part('epoch', $1 OPERATOR(pg_catalog.-) a.anchored_at)::pg_catalog.float8 "
    "FROM goldenarch.audit_trees t LEFT JOIN (SELECT x.incarnation, x.size, x.signed_at FROM "
    "goldenarch.audit_heads x ORDER BY x.id USING OPERATOR(pg_catalog.>) LIMIT 1) h ON "
    "h.incarnation OPERATOR(pg_catalog.=) t.incarnation LEFT JOIN goldenarch.audit_anchors a "
    "ON a.origin OPERATOR(pg_catalog.=) t.origin CROSS JOIN LATERAL (SELECT pg_catalog.count(*) "
    "AS n, pg_catalog.min(e.at) AS oldest FROM goldenarch.audit_entries_rows e WHERE e.xid "
    "OPERATOR(pg_catalog.>=) pg_catalog.pg_snapshot_xmax(t.sealed) OR e.xid "
    "OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT s.x FROM pg_catalog.pg_snapshot_xip(t.sealed) "
    "s(x)))) u ORDER BY t.incarnation USING OPERATOR(pg_catalog.>) LIMIT 1",
    TIMESTAMPTZOID);

static double
seconds_or(const GaRows *rows, int col, double otherwise)
{
	return ga_row_isnull(rows, 0, col) ? otherwise : ga_row_float8(rows, 0, col);
}

static void
read_all(Status *status)
{
	static GaStmt count_holds =
	    GA_READ("SELECT pg_catalog.count(*)::pg_catalog.int8 FROM goldenarch.audit_holds");
	GaRows rows = ga_query(&count_holds);

	memset(status, 0, sizeof(*status));
	status->head_size = -1;
	status->holds = ga_row_int8(&rows, 0, 1);
	rows = ga_query(&read_status, ga_timestamp(ga_now()));
	if (rows.count == 0)
		return;
	status->incarnation = ga_row_int4(&rows, 0, 1);
	status->origin = ga_row_text_present(&rows, 0, 2);
	status->size = ga_row_int8(&rows, 0, 3);
	status->minimum_index = ga_row_int8(&rows, 0, 4);
	status->fork = ga_row_text(&rows, 0, 5);
	status->stopped = ga_row_text(&rows, 0, 6);
	status->unsigned_reason = ga_row_text(&rows, 0, 7);
	status->head_size = ga_row_int8(&rows, 0, 8);
	status->head_age = seconds_or(&rows, 9, 0);
	status->unsealed = ga_row_int8(&rows, 0, 10);
	status->lag = Max(ga_row_float8(&rows, 0, 11), 0);
	status->anchor_size = ga_row_int8(&rows, 0, 12);
	status->anchored = status->anchor_size > 0;
	status->anchor_age = seconds_or(&rows, 13, 0);
}

static GaHealth
ill(GaHealthStatus status, const char *what, const char *why)
{
	return (GaHealth){status, psprintf("%s: %s", what, why)};
}

GaHealth
ga_seal_health(void)
{
	const char *trouble = ga_guc_nats_url[0] ? ga_anchor_trouble() : NULL;
	Status status;

	read_all(&status);
	if (status.fork)
		return ill(GA_HEALTH_DOWN, "forked, nothing is signed", status.fork);
	if (status.stopped)
		return ill(GA_HEALTH_DOWN, "not sealed", status.stopped);
	if (status.lag > LATE_SECONDS)
		return ill(GA_HEALTH_DEGRADED, "not sealed",
		           psprintf("the oldest of " INT64_FORMAT " rows waits for %.0f s", status.unsealed,
		                    status.lag));
	if (status.unsigned_reason && ga_guc_audit_key_file[0] != '\0')
		return ill(GA_HEALTH_DEGRADED, "not signed",
		           trouble ? psprintf("%s: %s", status.unsigned_reason, trouble)
		                   : status.unsigned_reason);
	if (ga_worker_pid(GA_WORKER_SEALER) != 0 && status.head_age > SILENT_SECONDS)
		return ill(GA_HEALTH_DEGRADED, "no heartbeat",
		           psprintf("the last head is %.0f s old", status.head_age));
	if (status.incarnation == 0)
		return (GaHealth){GA_HEALTH_OK, "nothing sealed yet"};
	if (ga_guc_nats_url[0] && !status.unsigned_reason && status.head_size > 0)
	{
		if (trouble)
			return ill(GA_HEALTH_DEGRADED, "not anchored", trouble);
		if (!status.anchored || status.anchor_age > SILENT_SECONDS)
			return ill(GA_HEALTH_DEGRADED, "not anchored",
			           status.anchored
			               ? psprintf("the last anchored head is %.0f s old", status.anchor_age)
			               : "no head so far");
	}
	return (GaHealth){GA_HEALTH_OK, psprintf(INT64_FORMAT " leaves, %s", status.size,
	                                         status.unsigned_reason ? "unsigned" : "signed")};
}

static void
say(FunctionCallInfo fcinfo, const char *item, const char *value)
{
	Datum values[2] = {CStringGetTextDatum(item), value ? CStringGetTextDatum(value) : (Datum) 0};
	bool nulls[2] = {false, value == NULL};

	ga_set_add(fcinfo, values, nulls);
}

static const char *
number(int64 n)
{
	return psprintf(INT64_FORMAT, n);
}

static void
say_tree(FunctionCallInfo fcinfo, const Status *status)
{
	bool there = status->incarnation > 0;
	bool headed = status->head_size >= 0;

	say(fcinfo, "origin", status->origin);
	say(fcinfo, "incarnation", there ? psprintf("%d", status->incarnation) : NULL);
	say(fcinfo, "size", there ? number(status->size) : NULL);
	say(fcinfo, "minimum_index", there ? number(status->minimum_index) : NULL);
	say(fcinfo, "unsealed_rows", there ? number(status->unsealed) : NULL);
	say(fcinfo, "seal_lag_seconds", there ? psprintf("%.3f", status->lag) : NULL);
	say(fcinfo, "head_size", headed ? number(status->head_size) : NULL);
	say(fcinfo, "head_age_seconds", headed ? psprintf("%.3f", status->head_age) : NULL);
	say(fcinfo, "signed",
	    !headed && !status->unsigned_reason
	        ? NULL
	        : psprintf("%s%s", status->unsigned_reason || status->fork ? "no: " : "yes",
	                   status->fork              ? "forked"
	                   : status->unsigned_reason ? status->unsigned_reason
	                                             : ""));
}

static const char *
anchor_text(const Status *status)
{
	if (!status->anchored)
		return ga_guc_nats_url[0] ? "none yet" : NULL;
	return psprintf(INT64_FORMAT " leaves, " INT64_FORMAT " behind, %.0f s ago",
	                status->anchor_size, Max(status->size - status->anchor_size, 0),
	                status->anchor_age);
}

GA_FUNCTION(ga_audit_status);
Datum
ga_audit_status(PG_FUNCTION_ARGS)
{
	GaCall call;
	Status status;
	char *keys;
	int64 spooled;
	int pid;

	ga_enter(&call, "audit.view");
	read_all(&status);
	keys = ga_seal_public_keys();
	spooled = ga_denials_spooled();
	ga_leave(&call);
	pid = ga_worker_pid(GA_WORKER_SEALER);
	ga_set_begin(fcinfo);
	say(fcinfo, "mode",
	    ga_preloaded() ? "preloaded" : "not preloaded: audit_seal() or pg_cron seals");
	say(fcinfo, "sealer", pid ? psprintf("process %d", pid) : NULL);
	say_tree(fcinfo, &status);
	say(fcinfo, "keys", keys);
	say(fcinfo, "anchor", anchor_text(&status));
	say(fcinfo, "fork", status.fork);
	say(fcinfo, "stopped", status.stopped);
	say(fcinfo, "spool",
	    spooled == 0  ? NULL
	    : spooled < 0 ? "cannot be read"
	                  : psprintf(INT64_FORMAT " denials wait in the spool file", spooled));
	say(fcinfo, "holds", status.holds > 0 ? number(status.holds) : NULL);
	return (Datum) 0;
}
