/* SPDX-License-Identifier: PostgreSQL */
/*
 * What time does to budgets: reservations past their ttl become a charge or a refund, and retention
 * removes ledger rows. Decisions never wait for this: whoever reads a hold past its ttl judges it
 * as expired. The guard of the ledger stands here because retention is what it lets through.
 */
#include "budget.h"

#include "catalog/pg_type_d.h"
#include "commands/trigger.h"

#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "goldenarch/maintenance.h"

#define SWEEP_BATCH 1000
/* Old rows of periods that never end are looked at in each run, so runs are rare. */
#define PRUNE_EVERY_US (INT64CONST(600) * USECS_PER_SEC)

static bool pruning;

/* Every hold of these accounts, which are locked: a hold has one writer at a time. */
int64
ga_budget_sweep(Datum locked_ids, TimestampTz now)
{
	static GaStmt sweep = GA_STMT(
	    "WITH due AS (SELECT h.tenant, h.request_id, h.budget, h.tokens, h.on_expiry, "
	    "h.expires_at, h.account_ids, CASE WHEN h.on_expiry OPERATOR(pg_catalog.=) 'refund' THEN "
	    "0::pg_catalog.int8 ELSE h.tokens END AS charged FROM goldenarch.budget_holds h WHERE "
	    "h.expires_at OPERATOR(pg_catalog.<=) $2 AND h.account_ids OPERATOR(pg_catalog.<@) $1 "
	    "ORDER BY h.expires_at LIMIT 1000), "
	    "entry AS (INSERT INTO goldenarch.budget_transactions (id, tenant, budget, request_id, "
	    "phase, type, amount, held, used, account_ids, at, subject) SELECT "
	    "pg_catalog.nextval('goldenarch.budget_transaction_id'::pg_catalog.regclass), d.tenant, "
	    "d.budget, d.request_id, 1, 'expire', d.charged, OPERATOR(pg_catalog.-) d.tokens, "
	    "d.charged, d.account_ids, $2, 'goldenarch' FROM due d ON CONFLICT (request_id, tenant, "
	    "phase) DO NOTHING RETURNING tenant, request_id, account_ids, held, used), "
	    "closed AS (DELETE FROM goldenarch.budget_holds h USING entry e, due d WHERE h.expires_at "
	    "OPERATOR(pg_catalog.=) d.expires_at AND h.request_id OPERATOR(pg_catalog.=) d.request_id "
	    "AND h.tenant OPERATOR(pg_catalog.=) d.tenant AND e.request_id OPERATOR(pg_catalog.=) "
	    "d.request_id AND e.tenant OPERATOR(pg_catalog.=) d.tenant), "
	    "sums AS (SELECT e.tenant, x.id, pg_catalog.sum(e.held)::pg_catalog.int8 AS held, "
	    "pg_catalog.sum(e.used)::pg_catalog.int8 AS used FROM entry e, "
	    "pg_catalog.unnest(e.account_ids) x(id) GROUP BY e.tenant, x.id), "
	    "moved AS (UPDATE goldenarch.budget_accounts a SET held = a.held "
	    "OPERATOR(pg_catalog.+) s.held, used = a.used OPERATOR(pg_catalog.+) s.used, "
	    "updated_at = $2 FROM sums s WHERE a.tenant OPERATOR(pg_catalog.=) s.tenant AND a.id "
	    "OPERATOR(pg_catalog.=) s.id) SELECT pg_catalog.count(*)::pg_catalog.int8 FROM entry",
	    INT8ARRAYOID, TIMESTAMPTZOID);
	GaRows rows;

	ga_budget_mark_booked();
	rows = ga_query(&sweep, ga_datum(locked_ids, false), ga_timestamp(now));
	return ga_row_int8(&rows, 0, 1);
}

/*
 * The job waits for nobody: an account that a client has locked is left to the next run, or to the
 * next request that charges it.
 */
int64
ga_budget_expire(void)
{
	static GaStmt due = GA_STMT(
	    "SELECT pg_catalog.array_agg(DISTINCT x.id)::pg_catalog.int8[] FROM (SELECT h.account_ids "
	    "FROM goldenarch.budget_holds h WHERE h.expires_at OPERATOR(pg_catalog.<=) $1 "
	    "ORDER BY h.expires_at LIMIT 1000) d, pg_catalog.unnest(d.account_ids) x(id)",
	    TIMESTAMPTZOID);
	static GaStmt lock = GA_STMT(
	    "SELECT pg_catalog.array_agg(l.id)::pg_catalog.int8[] FROM (SELECT a.id FROM "
	    "goldenarch.budget_accounts a WHERE a.id OPERATOR(pg_catalog.=) ANY ($1) ORDER BY a.id "
	    "FOR NO KEY UPDATE OF a SKIP LOCKED) l",
	    INT8ARRAYOID);
	int64 total = 0;
	int64 swept;

	do
	{
		TimestampTz now = ga_now();
		GaRows rows = ga_query(&due, ga_timestamp(now));
		bool isnull;
		Datum ids = ga_row_datum(&rows, 0, 1, INT8ARRAYOID, &isnull);

		if (isnull)
			break;
		rows = ga_query(&lock, ga_datum(ids, false));
		ids = ga_row_datum(&rows, 0, 1, INT8ARRAYOID, &isnull);
		if (isnull)
			break;
		swept = ga_budget_sweep(ids, now);
		total += swept;
	} while (swept == SWEEP_BATCH && total < GA_MAINTENANCE_BATCH);
	return total;
}

static int64
prune(TimestampTz before)
{
	static GaStmt remove = GA_STMT(
	    "WITH old AS (SELECT r.tenant, r.request_id FROM goldenarch.budget_transactions r "
	    "WHERE r.phase OPERATOR(pg_catalog.=) 0::pg_catalog.int2 AND r.at "
	    "OPERATOR(pg_catalog.<) $1 AND NOT EXISTS (SELECT 1 FROM goldenarch.budget_holds h "
	    "WHERE h.expires_at OPERATOR(pg_catalog.=) r.expires_at AND h.request_id "
	    "OPERATOR(pg_catalog.=) r.request_id AND h.tenant OPERATOR(pg_catalog.=) r.tenant) AND NOT "
	    "EXISTS (SELECT 1 FROM "
	    "goldenarch.budget_accounts a WHERE a.tenant OPERATOR(pg_catalog.=) r.tenant AND a.id "
	    "OPERATOR(pg_catalog.=) ANY (r.account_ids) AND a.period_end OPERATOR(pg_catalog.>=) $1) "
	    "LIMIT 10000), "
	    "gone AS (DELETE FROM goldenarch.budget_transactions t USING old o WHERE t.tenant "
	    "OPERATOR(pg_catalog.=) o.tenant AND t.request_id OPERATOR(pg_catalog.=) o.request_id "
	    "RETURNING t.tenant, t.account_ids, t.used), "
	    "sums AS (SELECT g.tenant, x.id, pg_catalog.sum(g.used)::pg_catalog.int8 AS used FROM "
	    "gone g, pg_catalog.unnest(g.account_ids) x(id) GROUP BY g.tenant, x.id), "
	    "moved AS (UPDATE goldenarch.budget_accounts a SET pruned = a.pruned "
	    "OPERATOR(pg_catalog.+) s.used FROM sums s WHERE a.tenant OPERATOR(pg_catalog.=) s.tenant "
	    "AND a.id OPERATOR(pg_catalog.=) s.id) SELECT pg_catalog.count(*)::pg_catalog.int8 FROM "
	    "gone",
	    TIMESTAMPTZOID);
	static GaStmt forget = GA_STMT(
	    "DELETE FROM goldenarch.budget_accounts a WHERE a.period_end OPERATOR(pg_catalog.<) $1 "
	    "AND a.held OPERATOR(pg_catalog.=) 0::pg_catalog.int8 AND a.used "
	    "OPERATOR(pg_catalog.=) a.pruned",
	    TIMESTAMPTZOID);
	GaRows rows = ga_query(&remove, ga_timestamp(before));
	int64 removed = ga_row_int8(&rows, 0, 1);

	return removed + (int64) ga_query(&forget, ga_timestamp(before)).count;
}

/*
 * A request is forgotten only when every period it charged ended longer ago than the retention: an
 * id that is forgotten while its period is open would be charged again.
 */
int64
ga_budget_prune(void)
{
	static TimestampTz next;
	TimestampTz now = ga_now();
	volatile int64 removed = 0;

	if (now < next && now > next - PRUNE_EVERY_US)
		return 0;
	next = now + PRUNE_EVERY_US;
	pruning = true;
	PG_TRY();
	{
		removed = prune(now - (int64) ga_guc_retention_budget * 60 * USECS_PER_SEC);
	}
	PG_FINALLY();
	{
		pruning = false;
	}
	PG_END_TRY();
	return removed;
}

GA_FUNCTION(ga_budget_append_only);
Datum
ga_budget_append_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		                errmsg("budget_append_only() is for triggers only")));
	if (pruning && TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		return TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ? PointerGetDatum(trigger->tg_trigtuple)
		                                                : PointerGetDatum(NULL);
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	                errmsg("the ledger of budgets is append-only"),
	                errdetail("What is booked is corrected by a later entry, never removed."),
	                errhint("goldenarch.retention_budget says how long closed periods are kept.")));
}

GA_FUNCTION(ga_wall_clock);
Datum
ga_wall_clock(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TIMESTAMPTZ(ga_now());
}
