/* SPDX-License-Identifier: PostgreSQL */
/*
 * What maintenance takes away: published messages, handled ones whose acknowledgement the stream
 * has, the relay's log, resolved dead letters. Never what is still to be published or handled, and
 * never an unresolved dead letter. Each run looks at a bounded number of the oldest rows.
 */
#include "message.h"

#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "goldenarch/maintenance.h"

static TimestampTz
before(int minutes)
{
	return ga_now() - (int64) minutes * 60 * USECS_PER_SEC;
}

static int64
retain_outbox(void)
{
	static GaStmt delete = GA_STMT(
	    "DELETE FROM goldenarch.outbox_rows AS d USING"
	    " (SELECT r.id, r.cluster, r.xid FROM goldenarch.outbox_rows AS r"
	    "  WHERE r.created_at OPERATOR(pg_catalog.<) $1 ORDER BY r.id LIMIT $2) AS o"
	    " WHERE d.id OPERATOR(pg_catalog.=) o.id"
	    " AND NOT EXISTS (SELECT FROM goldenarch.outbox_parked AS p"
	    "  WHERE p.outbox_id OPERATOR(pg_catalog.=) o.id)"
	    " AND EXISTS (SELECT FROM (SELECT DISTINCT ON (b.cluster) b.cluster, b.since, b.upto,"
	    "   b.last_id FROM goldenarch.outbox_batches AS b ORDER BY b.cluster, b.id DESC) AS seen"
	    "  WHERE seen.cluster OPERATOR(pg_catalog.=) o.cluster"
	    "  AND (pg_catalog.pg_visible_in_snapshot(o.xid, seen.since)"
	    "   OR pg_catalog.pg_visible_in_snapshot(o.xid, seen.upto)"
	    "   AND (seen.last_id IS NULL OR o.id OPERATOR(pg_catalog.<=) seen.last_id)))",
	    TIMESTAMPTZOID, INT8OID);

	return (int64) ga_query(&delete, ga_timestamp(before(ga_guc_retention_messages)),
	                        ga_int8(GA_MAINTENANCE_BATCH))
	    .count;
}

/* The newest entry of a cluster is the cursor: it stays whatever its age. */
static int64
retain_batches(void)
{
	static GaStmt delete = GA_STMT(
	    "DELETE FROM goldenarch.outbox_batches AS d USING"
	    " (SELECT r.id, r.cluster FROM goldenarch.outbox_batches AS r"
	    "  WHERE r.at OPERATOR(pg_catalog.<) $1 ORDER BY r.id LIMIT $2) AS o"
	    " WHERE d.id OPERATOR(pg_catalog.=) o.id AND EXISTS ("
	    "  SELECT FROM goldenarch.outbox_batches AS n"
	    "  WHERE n.cluster OPERATOR(pg_catalog.=) o.cluster AND n.id OPERATOR(pg_catalog.>) o.id)",
	    TIMESTAMPTZOID, INT8OID);

	return (int64) ga_query(&delete, ga_timestamp(before(ga_guc_retention_messages)),
	                        ga_int8(GA_MAINTENANCE_BATCH))
	    .count;
}

/* A handled message is forgotten once it cannot come again. */
static int64
retain_inbox(void)
{
	static GaStmt delete = GA_STMT(
	    "DELETE FROM goldenarch.inbox AS d USING"
	    " (SELECT r.subscription, r.key, r.stream, r.seq FROM goldenarch.inbox AS r"
	    "  WHERE r.handled_at OPERATOR(pg_catalog.<) $1 ORDER BY r.handled_at LIMIT $2) AS o"
	    " WHERE d.subscription OPERATOR(pg_catalog.=) o.subscription"
	    " AND d.key OPERATOR(pg_catalog.=) o.key AND NOT EXISTS ("
	    "  SELECT FROM goldenarch.subscriptions AS s"
	    "  WHERE s.name OPERATOR(pg_catalog.=) o.subscription"
	    "  AND s.stream OPERATOR(pg_catalog.=) o.stream"
	    "  AND s.ack_floor OPERATOR(pg_catalog.<) o.seq)",
	    TIMESTAMPTZOID, INT8OID);
	static GaStmt forget = GA_STMT("DELETE FROM goldenarch.delivery_attempts AS a WHERE "
	                               "a.updated_at OPERATOR(pg_catalog.<) $1",
	                               TIMESTAMPTZOID);
	int64 n = (int64) ga_query(&delete, ga_timestamp(before(ga_guc_retention_messages)),
	                           ga_int8(GA_MAINTENANCE_BATCH))
	              .count;

	return n + (int64) ga_query(&forget, ga_timestamp(before(30 * 24 * 60))).count;
}

static int64
retain_dead_letters(void)
{
	static GaStmt delete = GA_STMT("DELETE FROM goldenarch.dead_letters_rows AS d USING"
	                               " (SELECT r.id FROM goldenarch.dead_letters_rows AS r"
	                               "  WHERE r.resolved_at OPERATOR(pg_catalog.<) $1 LIMIT $2) AS o"
	                               " WHERE d.id OPERATOR(pg_catalog.=) o.id",
	                               TIMESTAMPTZOID, INT8OID);

	return (int64) ga_query(&delete, ga_timestamp(before(ga_guc_retention_dead_letters)),
	                        ga_int8(GA_MAINTENANCE_BATCH))
	    .count;
}

int64
ga_message_retain(void)
{
	return retain_outbox() + retain_batches() + retain_inbox() + retain_dead_letters();
}
