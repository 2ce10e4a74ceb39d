/* SPDX-License-Identifier: PostgreSQL */
/*
 * Budgets for operators: limits, prices, the explanation of a refusal, the proof against drift.
 * A changed limit binds whoever decides after it: requests hold the budget rows FOR SHARE until
 * they commit, so set_budget() waits for those that decided by the old one.
 */
#include "budget.h"

#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/principal.h"
#include "goldenarch/queue.h"

/* One of a list of words, or 22023. */
static char *
word_argument(FunctionCallInfo fcinfo, int n, const char *name, const char *const *words,
              const char *detail)
{
	char *word = ga_arg_text(fcinfo, n, name);

	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return word;
	ga_bad_argument(name, detail);
}

static char *
timezone_argument(FunctionCallInfo fcinfo, int n)
{
	char *name = ga_arg_text(fcinfo, n, "timezone");
	pg_tz *tz = strlen(name) <= TZ_STRLEN_MAX ? pg_tzset(name) : NULL;

	if (!tz || !pg_tz_acceptable(tz))
		ga_bad_argument("timezone", "It is a name of pg_timezone_names, as in 'Europe/Berlin'.");
	return name;
}

GA_FUNCTION(ga_set_budget);
Datum
ga_set_budget(PG_FUNCTION_ARGS)
{
	static const char *const periods[] = {"none", "minute", "hour", "day", "week", "month", NULL};
	static const char *const expiries[] = {"charge", "refund", NULL};
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.budgets (tenant, budget, token_limit, period, timezone, on_expiry) "
	    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, budget) DO UPDATE SET "
	    "token_limit = $3, period = $4, timezone = $5, on_expiry = $6, "
	    "changed_at = pg_catalog.clock_timestamp()",
	    TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID);
	GaCall call;
	GaBudgetPath path;
	GaJson details;
	int64 limit;
	char *period;
	char *timezone;
	char *on_expiry;

	ga_enter(&call, "budget.configure");
	ga_require_writable("set_budget()");
	ga_budget_path(ga_arg_text(fcinfo, 0, "budget"), &path);
	limit = ga_arg_int8(fcinfo, 1, "token_limit", 0, GA_BUDGET_TOKENS_MAX);
	period = word_argument(fcinfo, 2, "period", periods,
	                       "It is none, minute, hour, day, week or month.");
	timezone = timezone_argument(fcinfo, 3);
	on_expiry = word_argument(fcinfo, 4, "on_expiry", expiries, "It is charge or refund.");
	(void) ga_tenant_for_new_row(call.principal, path.tenant);
	(void) ga_query(&upsert, ga_text(path.tenant), ga_text(path.path), ga_int8(limit),
	                ga_text(period), ga_text(timezone), ga_text(on_expiry));
	ga_json_begin_object(&details);
	ga_json_int8(&details, "token_limit", limit);
	ga_json_text(&details, "period", period);
	ga_json_text(&details, "timezone", timezone);
	ga_json_text(&details, "on_expiry", on_expiry);
	(void) ga_audit("budget.set", "budget", path.path, ga_json_end(&details));
	ga_wake_at_commit(GA_WORKER_MIRROR);
	ga_leave(&call);
	PG_RETURN_VOID();
}

static GaArg
price_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	static GaStmt check = GA_STMT("SELECT $1 OPERATOR(pg_catalog.>=) 0::pg_catalog.numeric AND $1 "
	                              "OPERATOR(pg_catalog.<=) 1000000000::pg_catalog.numeric",
	                              NUMERICOID);
	GaArg price = ga_passed(n);
	GaRows rows;

	if (price.isnull)
		ga_bad_argument(name, "It must not be null.");
	rows = ga_query(&check, price);
	if (!ga_row_bool(&rows, 0, 1))
		ga_bad_argument(name, "A price is from 0 to 10^9 for a million tokens.");
	return price;
}

static char *
model_argument(FunctionCallInfo fcinfo)
{
	char *model = ga_arg_text(fcinfo, 0, "model");

	if (strlen(model) > GA_NAME_MAX_BYTES)
		ga_bad_argument("model", "A model's name has at most 128 bytes.");
	return model;
}

GA_FUNCTION(ga_set_model_price);
Datum
ga_set_model_price(PG_FUNCTION_ARGS)
{
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.model_prices (model, input_per_mtok, output_per_mtok) "
	    "VALUES ($1, $2, $3) ON CONFLICT (model) DO UPDATE SET input_per_mtok = $2, "
	    "output_per_mtok = $3 RETURNING pg_catalog.jsonb_build_object('input_per_mtok', $2, "
	    "'output_per_mtok', $3)",
	    TEXTOID, NUMERICOID, NUMERICOID);
	GaCall call;
	GaRows rows;
	GaArg input;
	GaArg output;
	char *model;

	ga_enter_global(&call, "budget.configure");
	ga_require_writable("set_model_price()");
	model = model_argument(fcinfo);
	input = price_argument(fcinfo, 1, "input_per_mtok");
	output = price_argument(fcinfo, 2, "output_per_mtok");
	rows = ga_query(&upsert, ga_text(model), input, output);
	(void) ga_audit("model_price.set", "model", model, ga_row_jsonb(&rows, 0, 1));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_model_cost);
Datum
ga_model_cost(PG_FUNCTION_ARGS)
{
	/* OPERATOR() knows no precedence: each product stands in brackets. */
	static GaStmt cost =
	    GA_READ("SELECT pg_catalog.trim_scale(((p.input_per_mtok OPERATOR(pg_catalog.*) "
	            "$2::pg_catalog.numeric) OPERATOR(pg_catalog.+) (p.output_per_mtok "
	            "OPERATOR(pg_catalog.*) $3::pg_catalog.numeric)) OPERATOR(pg_catalog.*) "
	            "0.000001)::pg_catalog.numeric "
	            "FROM goldenarch.model_prices p WHERE p.model OPERATOR(pg_catalog.=) $1",
	            TEXTOID, INT8OID, INT8OID);
	GaCall call;
	GaRows rows;
	Datum result;
	char *model;
	int64 input;
	int64 output;
	bool isnull;

	ga_enter(&call, "budget.use");
	model = model_argument(fcinfo);
	input = ga_arg_int8(fcinfo, 1, "input_tokens", 0, GA_BUDGET_TOKENS_MAX);
	output = ga_arg_int8(fcinfo, 2, "output_tokens", 0, GA_BUDGET_TOKENS_MAX);
	rows = ga_query(&cost, ga_text(model), ga_int8(input), ga_int8(output));
	if (rows.count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("model \"%s\" has no price", model),
		         errhint("Set it with goldenarch.set_model_price().")));
	result = ga_row_datum(&rows, 0, 1, NUMERICOID, &isnull);
	if (isnull)
		elog(ERROR, "model without a price");
	ga_leave(&call);
	return result;
}

#define RUNNING_ACCOUNT                                                                          \
	"a.tenant OPERATOR(pg_catalog.=) b.tenant AND a.budget OPERATOR(pg_catalog.=) b.budget AND " \
	"a.period OPERATOR(pg_catalog.=) b.period AND a.period_start OPERATOR(pg_catalog.=) "        \
	"CASE WHEN b.period OPERATOR(pg_catalog.=) 'none' THEN '-infinity'::pg_catalog.timestamptz " \
	"ELSE pg_catalog.date_trunc(b.period, $3, b.timezone) END "

/* One jsonb a level, root first; the sums are those of the view budget_limits. */
static GaStmt explain_levels = GA_STMT(
    "SELECT b.budget::pg_catalog.text, (b.token_limit OPERATOR(pg_catalog.-) "
    "COALESCE(a.used, 0) OPERATOR(pg_catalog.-) COALESCE(a.held, 0) OPERATOR(pg_catalog.+) "
    "x.expired OPERATOR(pg_catalog.-) x.charged)::pg_catalog.int8, "
    "pg_catalog.jsonb_build_object('budget', b.budget, 'limit', b.token_limit, 'period', b.period, "
    "'timezone', b.timezone, 'on_expiry', b.on_expiry, 'period_start', a.period_start, "
    "'period_end', a.period_end, 'settled', COALESCE(a.used, 0) OPERATOR(pg_catalog.+) x.charged, "
    "'held', COALESCE(a.held, 0) OPERATOR(pg_catalog.-) x.expired, 'overrun', "
    "COALESCE(a.overrun, 0), 'available', b.token_limit OPERATOR(pg_catalog.-) "
    "COALESCE(a.used, 0) OPERATOR(pg_catalog.-) COALESCE(a.held, 0) OPERATOR(pg_catalog.+) "
    "x.expired OPERATOR(pg_catalog.-) x.charged, 'holders', w.holders) "
    "FROM goldenarch.budgets b LEFT JOIN goldenarch.budget_accounts a ON " RUNNING_ACCOUNT
    "CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.sum(h.tokens), 0) AS expired, "
    "COALESCE(pg_catalog.sum(h.tokens) FILTER (WHERE h.on_expiry OPERATOR(pg_catalog.=) "
    "'charge'), 0) AS charged FROM goldenarch.budget_holds h WHERE h.tenant "
    "OPERATOR(pg_catalog.=) $1 AND h.expires_at OPERATOR(pg_catalog.<=) $3 AND a.id "
    "OPERATOR(pg_catalog.=) ANY (h.account_ids)) x "
    "CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
    "'request_id', o.request_id, 'budget', o.budget, 'tokens', o.tokens, 'purpose', o.purpose, "
    "'model', o.model, 'subject', o.subject, 'expires_at', o.expires_at, 'on_expiry', o.on_expiry) "
    "ORDER BY o.expires_at, o.request_id), '[]'::pg_catalog.jsonb) AS holders FROM (SELECT "
    "h.request_id, h.budget, h.tokens, t.purpose, t.model, t.subject, h.expires_at, h.on_expiry "
    "FROM goldenarch.budget_holds h JOIN goldenarch.budget_transactions t ON t.request_id "
    "OPERATOR(pg_catalog.=) h.request_id AND t.tenant OPERATOR(pg_catalog.=) h.tenant AND t.phase "
    "OPERATOR(pg_catalog.=) 0::pg_catalog.int2 WHERE h.tenant OPERATOR(pg_catalog.=) $1 AND "
    "h.expires_at OPERATOR(pg_catalog.>) $3 AND a.id OPERATOR(pg_catalog.=) ANY (h.account_ids) "
    "ORDER BY h.expires_at, h.request_id LIMIT 50) o) w "
    "WHERE b.tenant OPERATOR(pg_catalog.=) $1 AND b.budget OPERATOR(pg_catalog.=) ANY ($2) "
    "ORDER BY b.budget",
    TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID);

GA_FUNCTION(ga_explain_budget);
Datum
ga_explain_budget(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaBudgetPath path;
	GaRows rows;
	GaJson json;
	Jsonb *result;
	int64 available = PG_INT64_MAX;
	uint64 row;

	ga_enter(&call, "budget.view");
	ga_budget_path(ga_arg_text(fcinfo, 0, "budget"), &path);
	rows = ga_query(&explain_levels, ga_text(path.tenant), ga_text_array(path.levels, path.nlevels),
	                ga_timestamp(ga_now()));
	if (!ga_tenant_visible(call.principal, path.tenant) || rows.count == 0 ||
	    strcmp(ga_row_text_present(&rows, rows.count - 1, 1), path.path) != 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("budget \"%s\" does not exist", path.path),
		                errhint("Make it with goldenarch.set_budget().")));
	for (row = 0; row < rows.count; row++)
		available = Min(available, ga_row_int8(&rows, row, 2));
	ga_json_begin_object(&json);
	ga_json_text(&json, "budget", path.path);
	ga_json_int8(&json, "available", available);
	ga_json_begin_array_in(&json, "levels");
	for (row = 0; row < rows.count; row++)
		ga_json_jsonb(&json, NULL, ga_row_jsonb(&rows, row, 3));
	ga_json_end_array(&json);
	MemoryContextSwitchTo(call.result_context);
	result = ga_json_end(&json);
	ga_leave(&call);
	PG_RETURN_JSONB_P(result);
}

GA_FUNCTION(ga_budget_verify);
Datum
ga_budget_verify(PG_FUNCTION_ARGS)
{
	static GaStmt verify = GA_STMT(
	    "WITH booked AS (SELECT t.tenant, x.id, pg_catalog.sum(t.held) AS held, "
	    "pg_catalog.sum(t.used) AS used FROM goldenarch.budget_transactions t, "
	    "pg_catalog.unnest(t.account_ids) x(id) WHERE t.tenant OPERATOR(pg_catalog.>=) $1 AND "
	    "t.tenant OPERATOR(pg_catalog.<=) $2 GROUP BY t.tenant, x.id), "
	    "open AS (SELECT h.tenant, x.id, pg_catalog.sum(h.tokens) AS held FROM "
	    "goldenarch.budget_holds h, pg_catalog.unnest(h.account_ids) x(id) WHERE h.tenant "
	    "OPERATOR(pg_catalog.>=) $1 AND h.tenant OPERATOR(pg_catalog.<=) $2 "
	    "GROUP BY h.tenant, x.id), "
	    "sums AS (SELECT a.tenant, a.budget, a.period_start, a.held, a.used, "
	    "COALESCE(b.held, 0) AS ledger_held, COALESCE(b.used, 0) OPERATOR(pg_catalog.+) a.pruned "
	    "AS ledger_used, COALESCE(o.held, 0) AS open_held FROM goldenarch.budget_accounts a "
	    "LEFT JOIN booked b ON b.tenant OPERATOR(pg_catalog.=) a.tenant AND b.id "
	    "OPERATOR(pg_catalog.=) a.id LEFT JOIN open o ON o.tenant OPERATOR(pg_catalog.=) a.tenant "
	    "AND o.id OPERATOR(pg_catalog.=) a.id WHERE a.tenant OPERATOR(pg_catalog.>=) $1 AND "
	    "a.tenant OPERATOR(pg_catalog.<=) $2), "
	    "judged AS (SELECT s.*, s.held OPERATOR(pg_catalog.=) s.ledger_held AND s.used "
	    "OPERATOR(pg_catalog.=) s.ledger_used AND s.held OPERATOR(pg_catalog.=) s.open_held AND "
	    "s.held OPERATOR(pg_catalog.>=) 0::pg_catalog.int8 AS same FROM sums s) "
	    "SELECT b.budget::pg_catalog.text, COALESCE(pg_catalog.bool_and(j.same), "
	    "true)::pg_catalog.bool, COALESCE(pg_catalog.sum(j.held OPERATOR(pg_catalog.+) j.used), "
	    "0)::pg_catalog.int8, COALESCE(pg_catalog.sum(j.ledger_held OPERATOR(pg_catalog.+) "
	    "j.ledger_used), 0)::pg_catalog.int8, COALESCE(pg_catalog.string_agg(pg_catalog.format("
	    "'period from %s: account holds %s and used %s, ledger %s and %s, open holds %s', "
	    "j.period_start, j.held, j.used, j.ledger_held, j.ledger_used, j.open_held), '; ' "
	    "ORDER BY j.period_start) FILTER (WHERE NOT j.same), 'no drift')::pg_catalog.text "
	    "FROM goldenarch.budgets b LEFT JOIN judged j ON j.tenant OPERATOR(pg_catalog.=) b.tenant "
	    "AND j.budget OPERATOR(pg_catalog.=) b.budget WHERE b.tenant OPERATOR(pg_catalog.>=) $1 "
	    "AND b.tenant OPERATOR(pg_catalog.<=) $2 GROUP BY b.tenant, b.budget "
	    "ORDER BY b.tenant, b.budget",
	    TEXTOID, TEXTOID);
	GaCall call;
	GaRows rows;

	ga_enter(&call, "budget.view");
	rows = ga_query(&verify, ga_text(ga_tenant_floor(call.principal)),
	                ga_text(ga_tenant_ceiling(call.principal)));
	ga_set_begin(fcinfo);
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}
