/* SPDX-License-Identifier: PostgreSQL */
/*
 * learning.c: how often a role may change itself.
 *
 * A decision first UPDATEs the role's row of learning_state, then takes the clock, then counts. So
 * decisions about one role and tenant are serial: under READ COMMITTED the next one sees what the
 * one before it did, under REPEATABLE READ and SERIALIZABLE it ends in 40001. The limits
 * themselves are share-locked, so that none is decided by a limit that a DBA just lowered. The
 * moment judged is the wall clock, but always later than the last change: a clock set back opens
 * no window.
 *
 * What counts is what went live in the 24 hours before that moment (rolling, so midnight gives
 * nothing away); a rollback takes no slot but starts the cooldown, and after the second one a human
 * decides on the role. Prompts themselves: prompt.c.
 */
#include "postgres.h"

#include "fmgr.h"

#include "utils/builtins.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "learning.h"

#define ROLE_MAX 100    /* bytes; an index key */
#define ROLLBACKS_MAX 2 /* in 24 hours; from then on a human decides */
#define WINDOW (INT64CONST(24) * 60 * 60 * USECS_PER_SEC)

GA_FUNCTION(ga_can_auto_update_prompt);
GA_FUNCTION(ga_learning_decision);
GA_FUNCTION(ga_get_pending_approvals_count);
GA_FUNCTION(ga_learning_status);

char *
ga_learning_role(FunctionCallInfo fcinfo, int n)
{
	return ga_arg_text_max(fcinfo, n, "agent_role", ROLE_MAX, false);
}

/* ---- judging ---- */

static void
judge_limit(GaLearningVerdict *v, const GaRows *usage)
{
	v->used = ga_row_int4(usage, 0, 1);
	if (!v->known || v->used < v->allowance)
		return;
	v->over_limit = true;
	if (ga_row_isnull(usage, 0, 2))
		return; /* an allowance of 0: never */
	v->has_retry = true;
	v->retry = ga_row_timestamp(usage, 0, 2) + WINDOW;
}

static void
judge_cooldown(GaLearningVerdict *v, int64 cooldown)
{
	TimestampTz end;

	if (!v->known || !v->has_last)
		return;
	end = v->last + cooldown;
	if (end <= v->at)
		return;
	v->cooling = true;
	if (v->over_limit && !v->has_retry)
		return;
	v->retry = v->has_retry ? Max(v->retry, end) : end;
	v->has_retry = true;
}

/* limits: allowance, cooldown in microseconds, human; state: the last change. */
#define LIMITS                                                                \
	"SELECT max_updates_per_day::pg_catalog.int4,"                            \
	" (pg_catalog.extract('epoch', cooldown) OPERATOR(pg_catalog.*) 1000000)" \
	"::pg_catalog.int8, require_human_approval::pg_catalog.bool"              \
	" FROM goldenarch.learning_governance WHERE agent_role OPERATOR(pg_catalog.=) $1"
/* usage: slots taken, when the one that must leave the window first went live, rollbacks. */
#define USAGE                                                                              \
	"SELECT pg_catalog.count(*) FILTER (WHERE counted)::pg_catalog.int4,"                  \
	" ((pg_catalog.array_agg(pg_catalog.lower(live) ORDER BY pg_catalog.lower(live) DESC)" \
	" FILTER (WHERE counted))[$4::pg_catalog.int4])::pg_catalog.timestamptz,"              \
	" pg_catalog.count(*) FILTER (WHERE NOT counted)::pg_catalog.int4"                     \
	" FROM goldenarch.prompt_history WHERE tenant OPERATOR(pg_catalog.=) $1"               \
	" AND agent_role OPERATOR(pg_catalog.=) $2"                                            \
	" AND pg_catalog.lower(live) OPERATOR(pg_catalog.>) $3::pg_catalog.timestamptz"

static GaLearningVerdict
judge(const char *tenant, const char *agent_role, GaStmt *limits_stmt, GaStmt *usage_stmt,
      const GaRows *state)
{
	GaLearningVerdict v = {.human = true};
	GaRows limits = ga_query_args(limits_stmt, (const GaArg[]){ga_text(agent_role)}, 1);
	int64 cooldown = 0;
	GaRows usage;

	v.known = limits.count > 0;
	if (v.known)
	{
		v.allowance = ga_row_int4(&limits, 0, 1);
		cooldown = ga_row_int8(&limits, 0, 2);
		v.human = ga_row_bool(&limits, 0, 3);
	}
	v.has_last = state->count > 0 && !ga_row_isnull(state, 0, 1);
	if (v.has_last)
		v.last = ga_row_timestamp(state, 0, 1);
	v.at = ga_now();
	if (v.has_last && v.at <= v.last)
		v.at = v.last + 1;
	usage = ga_query_args(usage_stmt,
	                      (const GaArg[]){ga_text(tenant), ga_text(agent_role),
	                                      ga_timestamp(v.at - WINDOW), ga_int4(v.allowance)},
	                      4);
	v.rollbacks = ga_row_int4(&usage, 0, 3);
	v.human = v.human || v.rollbacks >= ROLLBACKS_MAX;
	judge_limit(&v, &usage);
	judge_cooldown(&v, cooldown);
	v.status = v.over_limit ? "daily_limit_reached"
	           : v.cooling  ? "cooldown_active"
	           : v.human    ? "requires_approval"
	                        : "can_auto_update";
	return v;
}

/* An UPDATE: who has an older snapshot than the last decision ends here, and counts no old rows. */
static GaRows
update_state(const char *tenant, const char *agent_role)
{
	static GaStmt upsert =
	    GA_STMT("INSERT INTO goldenarch.learning_state AS s (tenant, agent_role, decisions)"
	            " VALUES ($1, $2, 1) ON CONFLICT (tenant, agent_role)"
	            " DO UPDATE SET decisions = s.decisions OPERATOR(pg_catalog.+) 1::pg_catalog.int8"
	            " RETURNING last_change_at::pg_catalog.timestamptz",
	            TEXTOID, TEXTOID);

	return ga_query(&upsert, ga_text(tenant), ga_text(agent_role));
}

void
ga_learning_lock(const char *tenant, const char *agent_role)
{
	update_state(tenant, agent_role);
}

GaLearningVerdict
ga_learning_decide(const char *tenant, const char *agent_role)
{
	static GaStmt limits = GA_STMT(LIMITS " FOR SHARE", TEXTOID);
	static GaStmt usage = GA_STMT(USAGE, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	GaRows state = update_state(tenant, agent_role);

	return judge(tenant, agent_role, &limits, &usage, &state);
}

GaLearningVerdict
ga_learning_look(const char *tenant, const char *agent_role)
{
	static GaStmt limits = GA_READ(LIMITS, TEXTOID);
	static GaStmt usage = GA_READ(USAGE, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	static GaStmt find = GA_READ("SELECT last_change_at::pg_catalog.timestamptz"
	                             " FROM goldenarch.learning_state WHERE"
	                             " tenant OPERATOR(pg_catalog.=) $1"
	                             " AND agent_role OPERATOR(pg_catalog.=) $2",
	                             TEXTOID, TEXTOID);
	GaRows state = ga_query(&find, ga_text(tenant), ga_text(agent_role));

	return judge(tenant, agent_role, &limits, &usage, &state);
}

char *
ga_learning_reason(const GaLearningVerdict *v, const char *agent_role)
{
	if (v->over_limit)
		return psprintf("%s: %d of %d updates of role %s in 24 hours are used", v->status, v->used,
		                v->allowance, agent_role);
	if (v->cooling)
		return psprintf("%s: role %s changed at %s", v->status, agent_role,
		                timestamptz_to_str(v->last));
	if (!v->known)
		return psprintf("%s: role %s has no row in learning_governance", v->status, agent_role);
	if (v->rollbacks >= ROLLBACKS_MAX)
		return psprintf("%s: %d rollbacks of role %s in 24 hours", v->status, v->rollbacks,
		                agent_role);
	if (v->human)
		return psprintf("%s: a human decides on prompts of role %s", v->status, agent_role);
	return pstrdup(v->status);
}

/* ---- the SQL functions ---- */

/* Who proposes may ask whether he should; so may who looks on. */
static void
require_looker(const GaPrincipal *who)
{
	if (!ga_has_permission(who, "learning.view"))
		ga_require_permission(who, "learning.propose");
}

Datum
ga_can_auto_update_prompt(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *role;
	GaLearningVerdict v;

	require_looker(ga_principal());
	role = ga_learning_role(fcinfo, 0);
	ga_enter(&call, NULL);
	v = ga_learning_look(call.principal->tenant, role);
	ga_leave(&call);
	PG_RETURN_BOOL(!v.over_limit && !v.cooling && !v.human);
}

Datum
ga_learning_decision(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *role;
	GaLearningVerdict v;
	Datum values[5];
	bool nulls[5] = {false};

	require_looker(ga_principal());
	role = ga_learning_role(fcinfo, 0);
	ga_enter(&call, NULL);
	v = ga_learning_look(call.principal->tenant, role);
	ga_leave(&call);
	values[0] = BoolGetDatum(!v.over_limit && !v.cooling && !v.human);
	values[1] = CStringGetTextDatum(ga_learning_reason(&v, role));
	values[2] = Int32GetDatum(v.used);
	values[3] = Int32GetDatum(v.allowance);
	nulls[3] = !v.known;
	values[4] = TimestampTzGetDatum(v.retry);
	nulls[4] = !v.has_retry;
	return ga_return_record(fcinfo, values, nulls, lengthof(values));
}

Datum
ga_get_pending_approvals_count(PG_FUNCTION_ARGS)
{
	static GaStmt count = GA_READ(
	    "SELECT agent_role::pg_catalog.text, pg_catalog.count(*)::pg_catalog.int8"
	    " FROM goldenarch.prompts WHERE tenant OPERATOR(pg_catalog.>=) $1"
	    " AND tenant OPERATOR(pg_catalog.<=) $2"
	    " AND approval_status OPERATOR(pg_catalog.=) 'pending_review'"
	    " AND review_until OPERATOR(pg_catalog.>) $3 GROUP BY agent_role ORDER BY agent_role",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID);
	GaCall call;
	GaRows rows;

	ga_enter(&call, "learning.view");
	ga_set_begin(fcinfo);
	rows = ga_query(&count, ga_text(ga_tenant_floor(call.principal)),
	                ga_text(ga_tenant_ceiling(call.principal)), ga_timestamp(ga_now()));
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}

static const char *
overall_status(const GaLearningVerdict *v)
{
	return v->human ? "requires_approval" : v->status;
}

Datum
ga_learning_status(PG_FUNCTION_ARGS)
{
	static GaStmt roles = GA_READ(
	    "SELECT g.agent_role::pg_catalog.text, g.max_updates_per_day::pg_catalog.int4,"
	    " g.cooldown::pg_catalog.interval, g.require_human_approval::pg_catalog.bool,"
	    " (SELECT pg_catalog.count(*) FROM goldenarch.prompts p WHERE"
	    " p.tenant OPERATOR(pg_catalog.=) $1 AND p.agent_role OPERATOR(pg_catalog.=) g.agent_role"
	    " AND p.approval_status OPERATOR(pg_catalog.=) 'pending_review'"
	    " AND p.review_until OPERATOR(pg_catalog.>) $2)::pg_catalog.int8"
	    " FROM goldenarch.learning_governance g ORDER BY g.agent_role",
	    TEXTOID, TIMESTAMPTZOID);
	GaCall call;
	GaRows rows;

	ga_enter(&call, "learning.view");
	ga_set_begin(fcinfo);
	rows = ga_query(&roles, ga_text(call.principal->tenant), ga_timestamp(ga_now()));
	for (uint64 i = 0; i < rows.count; i++)
	{
		char *role = ga_row_text_present(&rows, i, 1);
		GaLearningVerdict v = ga_learning_look(call.principal->tenant, role);
		Datum values[9];
		bool nulls[9] = {false};

		values[0] = CStringGetTextDatum(role);
		values[1] = Int32GetDatum(ga_row_int4(&rows, i, 2));
		values[2] = ga_row_datum(&rows, i, 3, INTERVALOID, &nulls[2]);
		values[3] = BoolGetDatum(ga_row_bool(&rows, i, 4));
		values[4] = TimestampTzGetDatum(v.last);
		nulls[4] = !v.has_last;
		values[5] = Int32GetDatum(v.used);
		values[6] = Int64GetDatum(ga_row_int8(&rows, i, 5));
		values[7] = CStringGetTextDatum(overall_status(&v));
		values[8] = TimestampTzGetDatum(v.retry);
		nulls[8] = !v.has_retry;
		ga_set_add(fcinfo, values, nulls);
	}
	ga_leave(&call);
	return (Datum) 0;
}
