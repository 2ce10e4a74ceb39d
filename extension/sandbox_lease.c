/* SPDX-License-Identifier: PostgreSQL */
/*
 * Sandbox jobs as executors see them: who runs a job, and for how long that holds. Each claim draws
 * a fencing token higher than any before; a result, a heartbeat or a release counts only under the
 * job's present token and while it runs, so a result is recorded once however often a job had to be
 * started. A lease that ran out gives the job back to the queue, or ends it as lost when its
 * attempts are used up. These functions act for every tenant and are granted to the executor's role
 * alone; the token, not the executor's name, is what they trust.
 */
#include "goldenarch/query.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/health.h"
#include "goldenarch/maintenance.h"
#include "goldenarch/metrics.h"
#include "fsm.h"
#include "ground.h"
#include "limits.h"
#include "sandbox_lease.h"

#define LEASE_SECONDS 30
#define CLAIM_MAX 64
#define EXECUTOR_NAME_MAX 100
#define LIVE_SECONDS 4

static const char *
executor_argument(FunctionCallInfo fcinfo)
{
	const char *name = ga_arg_text(fcinfo, 0, "executor");

	if (strlen(name) > EXECUTOR_NAME_MAX)
		ga_bad_argument("executor", "At most 100 bytes are allowed.");
	return name;
}

/* Two arrays of one length without nulls, as `unnest` then reads them side by side. */
static void
check_pairs(FunctionCallInfo fcinfo)
{
	int n;

	for (n = 1; n <= 2; n++)
	{
		const char *name = n == 1 ? "ids" : "tokens";

		if (PG_ARGISNULL(n))
			ga_bad_argument(name, "The array must not be null.");
		if (ARR_NDIM(PG_GETARG_ARRAYTYPE_P(n)) > 1 ||
		    array_contains_nulls(PG_GETARG_ARRAYTYPE_P(n)))
			ga_bad_argument(name, "The array must have one dimension and no nulls.");
	}
	if (ArrayGetNItems(ARR_NDIM(PG_GETARG_ARRAYTYPE_P(1)), ARR_DIMS(PG_GETARG_ARRAYTYPE_P(1))) !=
	    ArrayGetNItems(ARR_NDIM(PG_GETARG_ARRAYTYPE_P(2)), ARR_DIMS(PG_GETARG_ARRAYTYPE_P(2))))
		ga_bad_argument("tokens", "There must be one for each of ids.");
}

/* A fresh executor runs nothing: what its name still holds was lost with its earlier life. */
static void
disown(const char *name)
{
	static GaStmt end = GA_STMT(
	    "UPDATE goldenarch.jobs j SET lease_until = $2 OPERATOR(pg_catalog.-) "
	    "'1 ms'::pg_catalog.interval WHERE j.executor OPERATOR(pg_catalog.=) $1 AND j.state "
	    "OPERATOR(pg_catalog.=) 'running' AND j.lease_until OPERATOR(pg_catalog.>=) $2",
	    TEXTOID, TIMESTAMPTZOID);

	(void) ga_query(&end, ga_text(name), ga_timestamp(ga_now()));
}

GA_FUNCTION(ga_register_executor);
Datum
ga_register_executor(PG_FUNCTION_ARGS)
{
	static GaStmt put = GA_STMT(
	    "INSERT INTO goldenarch.executors AS e (name, version, slots, ready, state, "
	    "registered_at, last_seen) VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (name) DO "
	    "UPDATE SET version = $2, slots = $3, ready = $4, state = $5, last_seen = $6, "
	    "registered_at = CASE WHEN $5 OPERATOR(pg_catalog.=) 'ready' THEN $6 ELSE e.registered_at "
	    "END",
	    TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TIMESTAMPTZOID);
	GaCall call;
	const char *name;
	const char *version;
	const char *state;
	int32 slots;
	int32 ready;

	ga_enter_as(&call, &ga_system_principal);
	ga_require_writable("register_executor()");
	name = executor_argument(fcinfo);
	version = ga_arg_text(fcinfo, 1, "version");
	slots = ga_arg_int4(fcinfo, 2, "slots", 1, CLAIM_MAX);
	ready = ga_arg_int4(fcinfo, 3, "ready", 0, CLAIM_MAX);
	state = ga_arg_text(fcinfo, 4, "state");
	if (strcmp(state, "ready") != 0 && strcmp(state, "draining") != 0 &&
	    strcmp(state, "stopped") != 0)
		ga_bad_argument("state", "It must be ready, draining or stopped.");
	if (ga_arg_bool(fcinfo, 5, "fresh"))
		disown(name);
	(void) ga_query(&put, ga_text(name), ga_text(version), ga_int4(slots), ga_int4(ready),
	                ga_text(state), ga_timestamp(ga_now()));
	ga_leave(&call);
	PG_RETURN_VOID();
}

/*
 * Jobs whose executor has not been heard of in time: cancelled if that was asked for, lost when no
 * attempt is left, else queued again.
 */
static int64
expire_leases(void)
{
	static GaStmt expire = GA_STMT(
	    "WITH n AS MATERIALIZED (SELECT e.tenant, e.id, CASE WHEN e.cancel_requested THEN "
	    "'cancelled' WHEN e.attempts OPERATOR(pg_catalog.>=) $2 THEN 'lost' ELSE 'queued' END AS "
	    "state FROM goldenarch.jobs e WHERE e.state OPERATOR(pg_catalog.=) 'running' AND "
	    "e.lease_until OPERATOR(pg_catalog.<) $1 LIMIT $3 FOR UPDATE SKIP LOCKED) "
	    "UPDATE goldenarch.jobs j SET lease_until = NULL, token = NULL, not_before = $1, "
	    "state = n.state, finished_at = CASE WHEN n.state OPERATOR(pg_catalog.<>) 'queued' THEN $1 "
	    "END, error = CASE WHEN n.state OPERATOR(pg_catalog.=) 'lost' THEN 'the executor was lost, "
	    "and no attempt is left' END FROM n WHERE j.tenant OPERATOR(pg_catalog.=) n.tenant AND "
	    "j.id OPERATOR(pg_catalog.=) n.id",
	    TIMESTAMPTZOID, INT4OID, INT8OID);

	return (int64) ga_query(&expire, ga_timestamp(ga_now()), ga_int4(GA_JOB_ATTEMPTS_MAX),
	                        ga_int8(GA_MAINTENANCE_BATCH))
	    .count;
}

/*
 * MATERIALIZED holds the limit: a plan that ran the locking SELECT again for each row it joins
 * would skip what it had locked and claim the whole queue.
 */
GA_FUNCTION(ga_claim_jobs);
Datum
ga_claim_jobs(PG_FUNCTION_ARGS)
{
	static GaStmt claim = GA_STMT(
	    "WITH n AS MATERIALIZED (SELECT q.tenant, q.id, r.argv, r.rootfs FROM goldenarch.jobs q "
	    "JOIN goldenarch.sandbox_runtimes r ON r.language OPERATOR(pg_catalog.=) q.language WHERE "
	    "q.state OPERATOR(pg_catalog.=) 'queued' AND q.not_before OPERATOR(pg_catalog.<=) $3 "
	    "ORDER BY q.submitted_at, q.id LIMIT $2 FOR UPDATE OF q SKIP LOCKED) "
	    "UPDATE goldenarch.jobs j SET state = 'running', executor = $1, started_at = $3, "
	    "attempts = j.attempts OPERATOR(pg_catalog.+) 1, lease_until = $3 OPERATOR(pg_catalog.+) "
	    "'30 s'::pg_catalog.interval, token = pg_catalog.nextval('goldenarch.job_token') FROM n "
	    "WHERE j.tenant OPERATOR(pg_catalog.=) n.tenant AND j.id OPERATOR(pg_catalog.=) n.id "
	    "RETURNING "
	    "j.id::pg_catalog.uuid, j.token::pg_catalog.int8, j.language::pg_catalog.text, "
	    "pg_catalog.to_jsonb(n.argv)::pg_catalog.jsonb, n.rootfs::pg_catalog.text, "
	    "j.code::pg_catalog.text, pg_catalog.to_jsonb(j.args)::pg_catalog.jsonb, "
	    "j.stdin::pg_catalog.text, j.files::pg_catalog.jsonb, j.timeout_ms::pg_catalog.int8, "
	    "j.memory_mb::pg_catalog.int4, j.cpus::pg_catalog.float4, j.pids::pg_catalog.int4",
	    TEXTOID, INT8OID, TIMESTAMPTZOID);
	GaCall call;
	const char *name;
	int32 wanted;
	GaRows rows;

	StaticAssertStmt(LEASE_SECONDS == 30, "the claim's SQL says 30 s");
	ga_enter_as(&call, &ga_system_principal);
	ga_require_writable("claim_jobs()");
	name = executor_argument(fcinfo);
	wanted = ga_arg_int4(fcinfo, 1, "max_jobs", 1, CLAIM_MAX);
	(void) expire_leases();
	rows = ga_query(&claim, ga_text(name), ga_int8(wanted), ga_timestamp(ga_now()));
	MemoryContextSwitchTo(call.result_context);
	ga_set_begin(fcinfo);
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}

GA_FUNCTION(ga_heartbeat_jobs);
Datum
ga_heartbeat_jobs(PG_FUNCTION_ARGS)
{
	static GaStmt seen = GA_STMT(
	    "UPDATE goldenarch.executors SET last_seen = $2, ready = COALESCE($3, ready) WHERE name "
	    "OPERATOR(pg_catalog.=) $1",
	    TEXTOID, TIMESTAMPTZOID, INT4OID);
	/* a lease is written again only once a third of it is gone */
	static GaStmt renew = GA_STMT(
	    "UPDATE goldenarch.jobs j SET lease_until = $3 OPERATOR(pg_catalog.+) "
	    "'30 s'::pg_catalog.interval FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) "
	    "AS h (id, token) WHERE j.id OPERATOR(pg_catalog.=) h.id AND j.token "
	    "OPERATOR(pg_catalog.=) h.token AND j.state OPERATOR(pg_catalog.=) 'running' AND "
	    "j.lease_until OPERATOR(pg_catalog.<) ($3 OPERATOR(pg_catalog.+) "
	    "'20 s'::pg_catalog.interval)",
	    UUIDARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID);
	static GaStmt judge = GA_STMT(
	    "SELECT h.id::pg_catalog.uuid, EXISTS (SELECT 1 FROM goldenarch.jobs j WHERE j.id "
	    "OPERATOR(pg_catalog.=) h.id AND j.token OPERATOR(pg_catalog.=) h.token AND j.state "
	    "OPERATOR(pg_catalog.=) 'running' AND NOT j.cancel_requested)::pg_catalog.bool FROM ROWS "
	    "FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS h (id, token)",
	    UUIDARRAYOID, INT8ARRAYOID);
	GaCall call;
	const char *name;
	TimestampTz now = ga_now();
	GaRows rows;

	ga_enter_as(&call, &ga_system_principal);
	ga_require_writable("heartbeat_jobs()");
	name = executor_argument(fcinfo);
	check_pairs(fcinfo);
	(void) ga_query(&seen, ga_text(name), ga_timestamp(now), ga_passed(3));
	(void) ga_query(&renew, ga_passed(1), ga_passed(2), ga_timestamp(now));
	rows = ga_query(&judge, ga_passed(1), ga_passed(2));
	MemoryContextSwitchTo(call.result_context);
	ga_set_begin(fcinfo);
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}

static void
check_result(FunctionCallInfo fcinfo, const char *status)
{
	int n;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(7))
		ga_bad_argument("job_id, token, truncated", "They must not be null.");
	if (strcmp(status, "queued") == 0 || !ga_fsm_edge_by_names(GA_MACHINE_JOB, "running", status))
		ga_bad_argument("status", "It must be a state that a running job can end in.");
	for (n = 5; n <= 6; n++)
		if (!PG_ARGISNULL(n) && VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(n)) > GA_JOB_OUTPUT_MAX_BYTES)
			ga_bad_argument(n == 5 ? "stdout" : "stderr", "At most 1 MiB is kept.");
}

GA_FUNCTION(ga_finish_job);
Datum
ga_finish_job(PG_FUNCTION_ARGS)
{
	static GaStmt finish = GA_STMT(
	    "UPDATE goldenarch.jobs j SET state = $3, finished_at = $13, lease_until = NULL, "
	    "exit_code = $4, signal = $5, stdout = $6, stderr = $7, truncated = $8, wall_ms = $9, "
	    "cpu_ms = $10, max_rss_kb = $11, error = $12 WHERE j.id OPERATOR(pg_catalog.=) $1 AND "
	    "j.token OPERATOR(pg_catalog.=) $2 AND j.state OPERATOR(pg_catalog.=) 'running' AND ($3 "
	    "OPERATOR(pg_catalog.<>) 'cancelled' OR j.cancel_requested)",
	    UUIDOID, INT8OID, TEXTOID, INT4OID, INT4OID, BYTEAOID, BYTEAOID, BOOLOID, INT8OID, INT8OID,
	    INT8OID, TEXTOID, TIMESTAMPTZOID);
	/* lost, but attempts are left: again, after a pause that grows with each */
	static GaStmt again = GA_STMT(
	    "UPDATE goldenarch.jobs j SET state = 'queued', lease_until = NULL, token = NULL, error = "
	    "$3, not_before = $4 OPERATOR(pg_catalog.+) ('1 s'::pg_catalog.interval "
	    "OPERATOR(pg_catalog.*) j.attempts::pg_catalog.float8) WHERE j.id OPERATOR(pg_catalog.=) "
	    "$1 AND j.token OPERATOR(pg_catalog.=) $2 AND j.state OPERATOR(pg_catalog.=) 'running' AND "
	    "j.attempts OPERATOR(pg_catalog.<) $5 AND NOT j.cancel_requested",
	    UUIDOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	GaCall call;
	const char *status;
	GaArg now;
	bool taken;

	ga_enter_as(&call, &ga_system_principal);
	ga_require_writable("finish_job()");
	status = ga_arg_text(fcinfo, 2, "status");
	check_result(fcinfo, status);
	now = ga_timestamp(ga_now());
	taken =
	    strcmp(status, "lost") == 0 && ga_query(&again, ga_passed(0), ga_passed(1), ga_passed(11),
	                                            now, ga_int4(GA_JOB_ATTEMPTS_MAX))
	                                           .count == 1;
	if (!taken)
	{
		taken = ga_query(&finish, ga_passed(0), ga_passed(1), ga_text(status), ga_passed(3),
		                 ga_passed(4), ga_passed(5), ga_passed(6), ga_passed(7), ga_passed(8),
		                 ga_passed(9), ga_passed(10), ga_passed(11), now)
		            .count == 1;
		if (taken)
			ga_count(GA_COUNT_JOBS_FINISHED);
	}
	ga_leave(&call);
	PG_RETURN_BOOL(taken);
}

GA_FUNCTION(ga_release_jobs);
Datum
ga_release_jobs(PG_FUNCTION_ARGS)
{
	static GaStmt release = GA_STMT(
	    "UPDATE goldenarch.jobs j SET state = CASE WHEN j.cancel_requested THEN 'cancelled' ELSE "
	    "'queued' END, finished_at = CASE WHEN j.cancel_requested THEN $3 END, lease_until = NULL, "
	    "token = NULL, not_before = $3, attempts = j.attempts OPERATOR(pg_catalog.-) 1 FROM ROWS "
	    "FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS h (id, token) WHERE j.id "
	    "OPERATOR(pg_catalog.=) h.id AND j.token OPERATOR(pg_catalog.=) h.token AND j.state "
	    "OPERATOR(pg_catalog.=) 'running'",
	    UUIDARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID);
	GaCall call;
	int32 released;

	ga_enter_as(&call, &ga_system_principal);
	ga_require_writable("release_jobs()");
	(void) executor_argument(fcinfo);
	check_pairs(fcinfo);
	released = (int32) ga_query(&release, ga_passed(1), ga_passed(2), ga_timestamp(ga_now())).count;
	ga_leave(&call);
	PG_RETURN_INT32(released);
}

/* Maintenance: leases that ran out. */
int64
ga_sandbox_expire_leases(void)
{
	return expire_leases();
}

/* Maintenance, also when woken: tell the executors that there is something to claim or to stop. */
int64
ga_sandbox_notify(void)
{
	static GaStmt waiting = GA_STMT(
	    "SELECT 1 FROM goldenarch.jobs j WHERE j.state OPERATOR(pg_catalog.=) 'queued' UNION ALL "
	    "SELECT 1 FROM goldenarch.jobs j WHERE j.state OPERATOR(pg_catalog.=) 'running' AND "
	    "j.cancel_requested LIMIT 1");

	if (ga_query(&waiting).count == 0)
		return 0;
	ga_execute("NOTIFY goldenarch_jobs");
	return 1;
}

/* Maintenance: jobs that ended more than goldenarch.retention_jobs ago, executors long gone. */
int64
ga_sandbox_retain(void)
{
	static GaStmt old = GA_STMT(
	    "DELETE FROM goldenarch.jobs j USING (SELECT o.tenant, o.id FROM goldenarch.jobs o WHERE "
	    "o.finished_at OPERATOR(pg_catalog.<) $1 ORDER BY o.finished_at LIMIT $2) n WHERE j.tenant "
	    "OPERATOR(pg_catalog.=) n.tenant AND j.id OPERATOR(pg_catalog.=) n.id",
	    TIMESTAMPTZOID, INT8OID);
	static GaStmt gone = GA_STMT("DELETE FROM goldenarch.executors e WHERE e.last_seen "
	                             "OPERATOR(pg_catalog.<) $1",
	                             TIMESTAMPTZOID);
	TimestampTz before = ga_now() - ga_guc_retention_jobs * INT64CONST(60000000);

	return (int64) (ga_query(&old, ga_timestamp(before), ga_int8(GA_MAINTENANCE_BATCH)).count +
	                ga_query(&gone, ga_timestamp(before)).count);
}

GaHealth
ga_sandbox_health(void)
{
	static GaStmt find = GA_STMT(
	    "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE e.last_seen "
	    "OPERATOR(pg_catalog.>=) $1 AND e.state OPERATOR(pg_catalog.=) 'ready'), "
	    "COALESCE(pg_catalog.sum(e.ready) FILTER (WHERE e.last_seen OPERATOR(pg_catalog.>=) $1), "
	    "0)::pg_catalog.int8 FROM goldenarch.executors e WHERE e.state OPERATOR(pg_catalog.<>) "
	    "'stopped' AND e.last_seen OPERATOR(pg_catalog.>=) ($1 OPERATOR(pg_catalog.-) '1 "
	    "hour'::pg_catalog.interval)",
	    TIMESTAMPTZOID);
	GaRows rows = ga_query(&find, ga_timestamp(ga_now() - LIVE_SECONDS * INT64CONST(1000000)));
	int64 known = ga_row_int8(&rows, 0, 1);
	int64 live = ga_row_int8(&rows, 0, 2);

	if (known == 0)
		return (GaHealth){GA_HEALTH_OFF, "no executor runs: sandbox jobs wait"};
	if (live == 0)
		return (GaHealth){GA_HEALTH_DOWN, "no executor was heard of for 4 seconds"};
	return (GaHealth){live < known ? GA_HEALTH_DEGRADED : GA_HEALTH_OK,
	                  psprintf("%lld of %lld executors, %lld sandboxes ready", (long long) live,
	                           (long long) known, (long long) ga_row_int8(&rows, 0, 3))};
}

GA_FUNCTION(ga_executor_rows);
Datum
ga_executor_rows(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_STMT(
	    "SELECT e.name::pg_catalog.text, e.version::pg_catalog.text, CASE WHEN e.state "
	    "OPERATOR(pg_catalog.<>) 'stopped' AND e.last_seen OPERATOR(pg_catalog.<) $1 THEN 'down' "
	    "ELSE e.state END::pg_catalog.text, e.slots::pg_catalog.int4, e.ready::pg_catalog.int4, "
	    "e.registered_at::pg_catalog.timestamptz, e.last_seen::pg_catalog.timestamptz FROM "
	    "goldenarch.executors e ORDER BY e.name COLLATE \"C\"",
	    TIMESTAMPTZOID);
	GaCall call;
	GaRows rows;

	if (!is_member_of_role(GetUserId(), ROLE_PG_MONITOR))
		ga_require_permission(ga_principal(), "sandbox.view");
	ga_enter_as(&call, &ga_system_principal);
	rows = ga_query(&find, ga_timestamp(ga_now() - LIVE_SECONDS * INT64CONST(1000000)));
	MemoryContextSwitchTo(call.result_context);
	ga_set_begin(fcinfo);
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}
