/* SPDX-License-Identifier: PostgreSQL */
/*
 * The bridge as operators see it: bridge_status, and the components nats and redis of health().
 * Reads what the workers reported and what stands in the tables; asks nothing outside.
 */
#include "bridge_state.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "goldenarch/guc.h"
#include "goldenarch/health.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "goldenarch/shmem.h"
#include "ground.h"

GA_FUNCTION(ga_bridge_status_row);

static const char *const link_names[] = {"off", "connecting", "connected", "down"};

#define COLUMNS 18

typedef struct Cursor
{
	const char *since;
	const char *upto; /* null: all of since is published, and no more */
	int64 last_id;
} Cursor;

/* Where the relay's log ends; a snapshot that sees nothing where it has not begun. */
static Cursor
read_cursor(void)
{
	static GaStmt find =
	    GA_STMT("SELECT since::pg_catalog.text, upto::pg_catalog.text, last_id::pg_catalog.int8"
	            " FROM goldenarch.outbox_batches WHERE cluster OPERATOR(pg_catalog.=) $1"
	            " ORDER BY id DESC LIMIT 1",
	            INT8OID);
	GaRows rows = ga_query(&find, ga_int8((int64) GetSystemIdentifier()));

	if (rows.count == 0)
		return (Cursor){.since = "3:3:"};
	if (ga_row_isnull(&rows, 0, 3))
		return (Cursor){.since = ga_row_text(&rows, 0, 2)};
	return (Cursor){ga_row_text(&rows, 0, 1), ga_row_text(&rows, 0, 2), ga_row_int8(&rows, 0, 3)};
}

/* Rows that no relay has recorded as published, whether it runs or not; and those parked. */
static void
count_waiting(int64 *pending, int64 *parked)
{
	static GaStmt find =
	    GA_STMT("SELECT (SELECT pg_catalog.count(*) FROM (SELECT FROM goldenarch.outbox_rows AS o"
	            "  WHERE o.xid OPERATOR(pg_catalog.>=)"
	            "   pg_catalog.pg_snapshot_xmin($1::pg_catalog.pg_snapshot)"
	            "  AND o.cluster OPERATOR(pg_catalog.=) $2"
	            "  AND NOT pg_catalog.pg_visible_in_snapshot(o.xid, $1::pg_catalog.pg_snapshot)"
	            "  AND ($4 IS NULL OR o.id OPERATOR(pg_catalog.>) $3"
	            "   OR NOT pg_catalog.pg_visible_in_snapshot(o.xid, $4::pg_catalog.pg_snapshot))"
	            "  LIMIT 1000000) AS w)::pg_catalog.int8,"
	            " (SELECT pg_catalog.count(*) FROM goldenarch.outbox_parked)::pg_catalog.int8",
	            TEXTOID, INT8OID, INT8OID, TEXTOID);
	Cursor cursor = read_cursor();
	GaRows rows = ga_query(&find, ga_text(cursor.since), ga_int8((int64) GetSystemIdentifier()),
	                       ga_int8(cursor.last_id), ga_text(cursor.upto));

	*parked = ga_row_int8(&rows, 0, 2);
	*pending = ga_row_int8(&rows, 0, 1) + *parked;
}

static void
put_text(Datum *values, bool *nulls, int i, const char *text)
{
	nulls[i] = text == NULL || *text == '\0';
	if (!nulls[i])
		values[i] = CStringGetTextDatum(text);
}

static void
put_time(Datum *values, bool *nulls, int i, TimestampTz at)
{
	nulls[i] = at == 0;
	values[i] = TimestampTzGetDatum(at);
}

/* bridge_status_row() -> one row: the columns of view bridge_status, in their order */
Datum
ga_bridge_status_row(PG_FUNCTION_ARGS)
{
	Datum values[COLUMNS] = {0};
	bool nulls[COLUMNS] = {false};
	GaBridgeState state;
	int64 pending;
	int64 parked;
	GaCall call;
	bool known;

	if (!is_member_of_role(GetUserId(), ROLE_PG_MONITOR))
		ga_require_permission(ga_principal(), "metrics.view");
	ga_enter_as(&call, &ga_system_principal);
	count_waiting(&pending, &parked);
	ga_leave(&call);
	known = ga_bridge_read(&state);
	put_text(values, nulls, 0,
	         known || ga_preloaded() ? link_names[state.peer[GA_PEER_NATS].link] : "unknown");
	put_text(values, nulls, 1, state.peer[GA_PEER_NATS].server);
	values[2] = Int64GetDatum(state.published);
	values[3] = Int64GetDatum(state.acked);
	values[4] = Int64GetDatum(pending);
	values[5] = Int64GetDatum(state.consumed);
	values[6] = Int64GetDatum(state.failed);
	put_text(values, nulls, 7, state.peer[GA_PEER_NATS].error);
	put_time(values, nulls, 8, state.peer[GA_PEER_NATS].error_at);
	put_time(values, nulls, 9, state.peer[GA_PEER_NATS].since);
	values[10] = Int64GetDatum(parked);
	put_text(values, nulls, 11, link_names[state.peer[GA_PEER_INGEST].link]);
	put_text(values, nulls, 12, state.peer[GA_PEER_INGEST].error);
	put_time(values, nulls, 13, state.peer[GA_PEER_INGEST].error_at);
	put_text(values, nulls, 14, link_names[state.peer[GA_PEER_REDIS].link]);
	put_text(values, nulls, 15, state.peer[GA_PEER_REDIS].server);
	put_text(values, nulls, 16, state.peer[GA_PEER_REDIS].error);
	put_time(values, nulls, 17, state.peer[GA_PEER_REDIS].error_at);
	return ga_return_record(fcinfo, values, nulls, COLUMNS);
}

static GaHealth
check_peer(GaPeer peer, GaWorker worker, const char *url, const char *setting)
{
	GaBridgeState state;
	const GaBridgePeer *p = &state.peer[peer];

	if (!ga_preloaded())
		return (GaHealth){GA_HEALTH_OFF, "not preloaded: its state is not kept"};
	if (!url || !*url)
		return (GaHealth){GA_HEALTH_OFF, psprintf("goldenarch.%s is not set", setting)};
	if (!ga_bridge_read(&state) || ga_worker_pid(worker) == 0)
		return (GaHealth){GA_HEALTH_DOWN,
		                  p->error[0] ? pstrdup(p->error)
		                              : "no worker; is this database in goldenarch.databases?"};
	switch (p->link)
	{
		case GA_LINK_CONNECTED:
			return (GaHealth){GA_HEALTH_OK, psprintf("connected to %s", p->server)};
		case GA_LINK_CONNECTING:
			return (GaHealth){GA_HEALTH_DOWN, "connecting"};
		default:
			return (GaHealth){GA_HEALTH_DOWN, p->error[0] ? pstrdup(p->error) : "not connected"};
	}
}

GaHealth
ga_bridge_check_nats(void)
{
	GaHealth health = check_peer(GA_PEER_NATS, GA_WORKER_RELAY, ga_guc_nats_url, "nats_url");
	int64 pending;
	int64 parked;

	if (health.status != GA_HEALTH_OK)
		return health;
	count_waiting(&pending, &parked);
	if (parked > 0)
		return (GaHealth){
		    GA_HEALTH_DEGRADED,
		    psprintf(INT64_FORMAT " messages wait for a stream that takes them", parked)};
	return health;
}

GaHealth
ga_bridge_check_redis(void)
{
	return check_peer(GA_PEER_REDIS, GA_WORKER_MIRROR, ga_guc_redis_url, "redis_url");
}
