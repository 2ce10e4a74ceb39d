/* SPDX-License-Identifier: PostgreSQL */
/*
 * The ledger of budgets in row-lock mode: reading a request's record, locking accounts, booking.
 *
 * Account rows are locked in ascending id before anything is decided, so READ COMMITTED decides by
 * the newest state (each statement after the lock has a snapshot taken after it), and REPEATABLE
 * READ and SERIALIZABLE raise 40001 where an account changed behind their snapshot. The unique key
 * (request_id, tenant, phase) is what makes a request, its terminal event and its late settlement
 * happen once; ON CONFLICT DO NOTHING waits for a twin in flight, and raises 40001 for one that the
 * snapshot cannot see. All of it commits or rolls back with the caller.
 *
 * PREPARE TRANSACTION is refused once a transaction has booked: its rows would stay invisible to
 * whoever sums the ledger afterwards, for as long as nobody decides about it.
 */
#include "budget.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "goldenarch/error.h"
#include "goldenarch/principal.h"
#include "goldenarch/queue.h"

static bool booked; /* in the running transaction */

static const char *const state_names[] = {"held", "settled", "released", "expired", "refused"};

const char *
ga_budget_state_name(GaBudgetState state)
{
	return state_names[state];
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_PRE_PREPARE && booked)
		ereport(ERROR,
		        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		         errmsg("cannot PREPARE a transaction that has changed a budget"),
		         errdetail("Its tokens would be neither held nor free until it is decided."),
		         errhint("Commit the budget's decision in a transaction of its own first.")));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		booked = false;
}

void
ga_budget_mark_booked(void)
{
	static bool registered;

	if (!registered)
		RegisterXactCallback(at_transaction_end, NULL);
	registered = true;
	booked = true;
	ga_wake_at_commit(GA_WORKER_MIRROR);
}

static GaBudgetState
judge(const char *type, const char *terminal, const GaBudgetRecord *record, TimestampTz now)
{
	if (strcmp(type, "charge") == 0)
		return GA_BUDGET_SETTLED;
	if (!terminal)
		return now >= record->expires_at ? GA_BUDGET_EXPIRED : GA_BUDGET_HELD;
	if (strcmp(terminal, "commit") == 0)
		return GA_BUDGET_SETTLED;
	return strcmp(terminal, "release") == 0 ? GA_BUDGET_RELEASED : GA_BUDGET_EXPIRED;
}

bool
ga_budget_find(const char *request_id, const char *floor, const char *ceiling, TimestampTz now,
               GaBudgetRecord *record)
{
	static GaStmt find = GA_READ(
	    "SELECT r.tenant::pg_catalog.text, r.budget::pg_catalog.text, r.type::pg_catalog.text, "
	    "r.amount::pg_catalog.int8, COALESCE(r.fingerprint, 0)::pg_catalog.int8, "
	    "COALESCE(r.available, 0)::pg_catalog.int8, r.at::pg_catalog.timestamptz, "
	    "COALESCE(r.expires_at, r.at)::pg_catalog.timestamptz, "
	    "COALESCE(r.on_expiry OPERATOR(pg_catalog.=) 'refund', false)::pg_catalog.bool, "
	    "r.account_ids::pg_catalog.int8[], t.type::pg_catalog.text, "
	    "COALESCE(t.amount, r.amount)::pg_catalog.int8, l.amount IS NOT NULL, "
	    "COALESCE(l.amount, 0)::pg_catalog.int8 "
	    "FROM goldenarch.budget_transactions r "
	    "LEFT JOIN goldenarch.budget_transactions t ON t.request_id OPERATOR(pg_catalog.=) $1 "
	    "AND t.tenant OPERATOR(pg_catalog.=) r.tenant AND t.phase OPERATOR(pg_catalog.=) "
	    "1::pg_catalog.int2 "
	    "LEFT JOIN goldenarch.budget_transactions l ON l.request_id OPERATOR(pg_catalog.=) $1 "
	    "AND l.tenant OPERATOR(pg_catalog.=) r.tenant AND l.phase OPERATOR(pg_catalog.=) "
	    "2::pg_catalog.int2 "
	    "WHERE r.request_id OPERATOR(pg_catalog.=) $1 AND r.tenant OPERATOR(pg_catalog.>=) $2 "
	    "AND r.tenant OPERATOR(pg_catalog.<=) $3 AND r.phase OPERATOR(pg_catalog.=) "
	    "0::pg_catalog.int2",
	    TEXTOID, TEXTOID, TEXTOID);
	GaRows rows;
	bool isnull;
	char *type;
	char *terminal;

	/* By the newest snapshot: what another released since ours was taken is approved no more. */
	PushActiveSnapshot(GetLatestSnapshot());
	rows = ga_query(&find, ga_text(request_id), ga_text(floor), ga_text(ceiling));
	PopActiveSnapshot();
	if (rows.count == 0)
		return false;
	if (rows.count > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("request id \"%s\" exists in several tenants", request_id),
		                errhint("Name the budget.")));
	type = ga_row_text_present(&rows, 0, 3);
	terminal = ga_row_text(&rows, 0, 11);
	if (!type)
		elog(ERROR, "budget transaction without a type");
	*record = (GaBudgetRecord){.tenant = ga_row_text_present(&rows, 0, 1),
	                           .budget = ga_row_text_present(&rows, 0, 2),
	                           .request_id = pstrdup(request_id),
	                           .tokens = ga_row_int8(&rows, 0, 4),
	                           .fingerprint = ga_row_int8(&rows, 0, 5),
	                           .available = ga_row_int8(&rows, 0, 6),
	                           .decided_at = ga_row_timestamp(&rows, 0, 7),
	                           .expires_at = ga_row_timestamp(&rows, 0, 8),
	                           .refund = ga_row_bool(&rows, 0, 9),
	                           .account_ids = ga_row_datum(&rows, 0, 10, INT8ARRAYOID, &isnull),
	                           .terminal = terminal != NULL || strcmp(type, "charge") == 0,
	                           .settled = ga_row_int8(&rows, 0, 12),
	                           .late = ga_row_bool(&rows, 0, 13),
	                           .late_tokens = ga_row_int8(&rows, 0, 14)};
	if (isnull || !record->tenant || !record->budget)
		elog(ERROR, "budget transaction without accounts");
	record->state = judge(type, terminal, record, now);
	return true;
}

void
ga_budget_lock(const char *tenant, Datum account_ids)
{
	static GaStmt lock =
	    GA_STMT("SELECT a.id::pg_catalog.int8 FROM goldenarch.budget_accounts a "
	            "WHERE a.tenant OPERATOR(pg_catalog.=) $1 AND a.id OPERATOR(pg_catalog.=) ANY ($2) "
	            "ORDER BY a.id FOR NO KEY UPDATE OF a",
	            TEXTOID, INT8ARRAYOID);

	(void) ga_query(&lock, ga_text(tenant), ga_datum(account_ids, false));
}

bool
ga_budget_book(const GaBudgetEntry *e)
{
	static GaStmt book = GA_STMT(
	    "WITH entry AS (INSERT INTO goldenarch.budget_transactions (id, tenant, budget, "
	    "request_id, phase, type, amount, held, used, overrun, late, account_ids, at, "
	    "fingerprint, available, expires_at, on_expiry, purpose, model, task_id, subject) VALUES "
	    "(pg_catalog.nextval('goldenarch.budget_transaction_id'::pg_catalog.regclass), $1, $2, $3, "
	    "$4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, CASE WHEN $4 OPERATOR(pg_catalog.=) "
	    "0::pg_catalog.int2 THEN $15 END, $16, $17, $18, $19, $20) "
	    "ON CONFLICT (request_id, tenant, phase) DO NOTHING RETURNING tenant, request_id), "
	    "opened AS (INSERT INTO goldenarch.budget_holds (tenant, request_id, budget, tokens, "
	    "expires_at, on_expiry, account_ids) SELECT e.tenant, e.request_id, $2, $6, $15, $16, $11 "
	    "FROM entry e WHERE $5 OPERATOR(pg_catalog.=) 'reserve'), "
	    "closed AS (DELETE FROM goldenarch.budget_holds h USING entry e WHERE h.expires_at "
	    "OPERATOR(pg_catalog.=) $15 AND h.request_id OPERATOR(pg_catalog.=) e.request_id AND "
	    "h.tenant OPERATOR(pg_catalog.=) e.tenant AND $4 OPERATOR(pg_catalog.=) "
	    "1::pg_catalog.int2) SELECT 1 FROM entry",
	    TEXTOID, TEXTOID, TEXTOID, INT2OID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, BOOLOID,
	    INT8ARRAYOID, TIMESTAMPTZOID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID,
	    UUIDOID, TEXTOID);
	bool first = e->phase == 0;
	GaRows rows;

	ga_budget_mark_booked();
	rows = ga_query(&book, ga_text(e->tenant), ga_text(e->budget), ga_text(e->request_id),
	                ga_datum(Int16GetDatum((int16) e->phase), false), ga_text(e->type),
	                ga_int8(e->amount), ga_int8(e->held), ga_int8(e->used), ga_int8(e->overrun),
	                ga_bool(e->late), ga_datum(e->account_ids, false), ga_timestamp(e->at),
	                first ? ga_int8(e->fingerprint) : ga_null(),
	                first ? ga_int8(e->available) : ga_null(),
	                e->expires_at ? ga_timestamp(e->expires_at) : ga_null(), ga_text(e->on_expiry),
	                ga_text(e->purpose), ga_text(e->model), ga_uuid(e->task_id),
	                ga_text(ga_principal()->subject));
	return rows.count > 0;
}

void
ga_budget_move(const char *tenant, Datum account_ids, const GaBudgetSum *sum, TimestampTz now)
{
	static GaStmt move = GA_STMT(
	    "UPDATE goldenarch.budget_accounts a SET held = a.held OPERATOR(pg_catalog.+) $3, "
	    "used = a.used OPERATOR(pg_catalog.+) $4, overrun = a.overrun OPERATOR(pg_catalog.+) $5, "
	    "updated_at = $6 WHERE a.tenant OPERATOR(pg_catalog.=) $1 AND a.id "
	    "OPERATOR(pg_catalog.=) ANY ($2)",
	    TEXTOID, INT8ARRAYOID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID);

	(void) ga_query(&move, ga_text(tenant), ga_datum(account_ids, false), ga_int8(sum->held),
	                ga_int8(sum->used), ga_int8(sum->overrun), ga_timestamp(now));
}

int64
ga_budget_available(const char *tenant, Datum account_ids, TimestampTz now)
{
	static GaStmt least = GA_STMT(
	    "SELECT COALESCE(pg_catalog.min(b.token_limit OPERATOR(pg_catalog.-) a.used "
	    "OPERATOR(pg_catalog.-) a.held OPERATOR(pg_catalog.+) COALESCE((SELECT "
	    "pg_catalog.sum(h.tokens) FROM goldenarch.budget_holds h WHERE h.tenant "
	    "OPERATOR(pg_catalog.=) $1 AND h.expires_at OPERATOR(pg_catalog.<=) $3 AND h.on_expiry "
	    "OPERATOR(pg_catalog.=) 'refund' AND a.id OPERATOR(pg_catalog.=) ANY (h.account_ids)), "
	    "0)), 0)::pg_catalog.int8 FROM goldenarch.budget_accounts a JOIN goldenarch.budgets b "
	    "ON b.tenant OPERATOR(pg_catalog.=) a.tenant AND b.budget OPERATOR(pg_catalog.=) a.budget "
	    "WHERE a.tenant OPERATOR(pg_catalog.=) $1 AND a.id OPERATOR(pg_catalog.=) ANY ($2)",
	    TEXTOID, INT8ARRAYOID, TIMESTAMPTZOID);
	GaRows rows =
	    ga_query(&least, ga_text(tenant), ga_datum(account_ids, false), ga_timestamp(now));

	return ga_row_int8(&rows, 0, 1);
}

#define PERIOD_START                                                                              \
	"(CASE WHEN b.period OPERATOR(pg_catalog.=) 'none' THEN '-infinity'::pg_catalog.timestamptz " \
	"ELSE pg_catalog.date_trunc(b.period, $3, b.timezone) END)"
#define PATH_BUDGETS                                         \
	"WHERE b.tenant OPERATOR(pg_catalog.=) $1 AND b.budget " \
	"OPERATOR(pg_catalog.=) ANY ($2) "

int
ga_budget_levels(const GaBudgetPath *path, TimestampTz now, GaBudgetLevel *levels)
{
	static GaStmt find = GA_STMT(
	    "SELECT b.budget::pg_catalog.text, b.token_limit::pg_catalog.int8, "
	    "b.period::pg_catalog.text, b.timezone::pg_catalog.text, "
	    "(b.on_expiry OPERATOR(pg_catalog.=) 'refund')::pg_catalog.bool, "
	    "COALESCE(a.id, 0)::pg_catalog.int8 "
	    "FROM goldenarch.budgets b LEFT JOIN goldenarch.budget_accounts a "
	    "ON a.tenant OPERATOR(pg_catalog.=) b.tenant AND a.budget OPERATOR(pg_catalog.=) b.budget "
	    "AND a.period OPERATOR(pg_catalog.=) b.period "
	    "AND a.period_start OPERATOR(pg_catalog.=) " PERIOD_START PATH_BUDGETS "ORDER BY b.budget",
	    TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID);
	GaRows rows = ga_query(&find, ga_text(path->tenant), ga_text_array(path->levels, path->nlevels),
	                       ga_timestamp(now));
	int n = (int) Min(rows.count, GA_BUDGET_DEPTH_MAX);
	int i;

	for (i = 0; i < n; i++)
	{
		levels[i] = (GaBudgetLevel){.budget = ga_row_text_present(&rows, i, 1),
		                            .limit = ga_row_int8(&rows, i, 2),
		                            .period = ga_row_text_present(&rows, i, 3),
		                            .timezone = ga_row_text_present(&rows, i, 4),
		                            .refund = ga_row_bool(&rows, i, 5),
		                            .account_id = ga_row_int8(&rows, i, 6)};
		if (!levels[i].budget || !levels[i].period || !levels[i].timezone)
			elog(ERROR, "budget without a path, a period or a time zone");
	}
	return n;
}

void
ga_budget_open_accounts(const GaBudgetPath *path, TimestampTz now)
{
	/* The end is the next start: an hour across a change of the clock has its own length. */
	static GaStmt open = GA_STMT(
	    "INSERT INTO goldenarch.budget_accounts (tenant, id, budget, period, period_start, "
	    "period_end, updated_at) SELECT b.tenant, "
	    "pg_catalog.nextval('goldenarch.budget_account_id'::pg_catalog.regclass), b.budget, "
	    "b.period, " PERIOD_START ", CASE WHEN b.period OPERATOR(pg_catalog.=) 'none' THEN "
	    "'infinity'::pg_catalog.timestamptz WHEN b.period OPERATOR(pg_catalog.=) ANY "
	    "('{minute,hour}'::pg_catalog.text[]) THEN " PERIOD_START " OPERATOR(pg_catalog.+) ('1 ' "
	    "OPERATOR(pg_catalog.||) b.period)::pg_catalog.interval "
	    "ELSE pg_catalog.timezone(b.timezone, pg_catalog.timezone(b.timezone, " PERIOD_START
	    ") OPERATOR(pg_catalog.+) ('1 ' OPERATOR(pg_catalog.||) b.period)::pg_catalog.interval) "
	    "END, $3 FROM goldenarch.budgets b " PATH_BUDGETS
	    "ORDER BY b.budget ON CONFLICT (tenant, budget, period, period_start) DO NOTHING",
	    TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID);

	(void) ga_query(&open, ga_text(path->tenant), ga_text_array(path->levels, path->nlevels),
	                ga_timestamp(now));
}

bool
ga_budget_confirm_levels(const GaBudgetPath *path, int nlevels, GaBudgetLevel *levels)
{
	static GaStmt confirm =
	    GA_STMT("SELECT b.budget::pg_catalog.text, b.token_limit::pg_catalog.int8, "
	            "b.period::pg_catalog.text, b.timezone::pg_catalog.text, "
	            "(b.on_expiry OPERATOR(pg_catalog.=) 'refund')::pg_catalog.bool "
	            "FROM goldenarch.budgets b " PATH_BUDGETS "ORDER BY b.budget FOR SHARE OF b",
	            TEXTOID, TEXTARRAYOID);
	GaRows rows =
	    ga_query(&confirm, ga_text(path->tenant), ga_text_array(path->levels, path->nlevels));
	int i;

	if (rows.count != (uint64) nlevels)
		return false;
	for (i = 0; i < nlevels; i++)
	{
		char *budget = ga_row_text_present(&rows, i, 1);
		char *period = ga_row_text_present(&rows, i, 3);
		char *timezone = ga_row_text_present(&rows, i, 4);

		if (!budget || !period || !timezone || strcmp(budget, levels[i].budget) != 0 ||
		    strcmp(period, levels[i].period) != 0 || strcmp(timezone, levels[i].timezone) != 0)
			return false;
		levels[i].limit = ga_row_int8(&rows, i, 2);
		levels[i].refund = ga_row_bool(&rows, i, 5);
	}
	return true;
}

/* Fills in what is available at each level; true when holds past their ttl wait to be booked. */
static bool
read_available(const char *tenant, Datum ids, TimestampTz now, int nlevels, GaBudgetLevel *levels)
{
	static GaStmt spent = GA_STMT(
	    "SELECT a.id::pg_catalog.int8, (a.used OPERATOR(pg_catalog.+) a.held "
	    "OPERATOR(pg_catalog.-) x.refunded)::pg_catalog.int8, x.due::pg_catalog.int8 "
	    "FROM goldenarch.budget_accounts a CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS due, "
	    "COALESCE(pg_catalog.sum(h.tokens) FILTER (WHERE h.on_expiry OPERATOR(pg_catalog.=) "
	    "'refund'), 0) AS refunded FROM goldenarch.budget_holds h WHERE h.tenant "
	    "OPERATOR(pg_catalog.=) $1 AND h.expires_at OPERATOR(pg_catalog.<=) $3 AND a.id "
	    "OPERATOR(pg_catalog.=) ANY (h.account_ids)) x WHERE a.tenant OPERATOR(pg_catalog.=) $1 "
	    "AND a.id OPERATOR(pg_catalog.=) ANY ($2)",
	    TEXTOID, INT8ARRAYOID, TIMESTAMPTZOID);
	GaRows rows = ga_query(&spent, ga_text(tenant), ga_datum(ids, false), ga_timestamp(now));
	bool due = false;
	uint64 row;
	int i;

	if (rows.count != (uint64) nlevels)
		elog(ERROR, "%d budget levels have " UINT64_FORMAT " accounts", nlevels, rows.count);
	for (row = 0; row < rows.count; row++)
	{
		for (i = 0; i < nlevels; i++)
			if (levels[i].account_id == ga_row_int8(&rows, row, 1))
				levels[i].available = levels[i].limit - ga_row_int8(&rows, row, 2);
		due = due || ga_row_int8(&rows, row, 3) > 0;
	}
	return due;
}

void
ga_budget_read_available(const char *tenant, Datum locked_ids, TimestampTz now, int nlevels,
                         GaBudgetLevel *levels)
{
	if (!read_available(tenant, locked_ids, now, nlevels, levels))
		return;
	(void) ga_budget_sweep(locked_ids, now);
	(void) read_available(tenant, locked_ids, now, nlevels, levels);
}
