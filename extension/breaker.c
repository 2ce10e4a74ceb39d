/* SPDX-License-Identifier: PostgreSQL */
/*
 * Circuit breakers for SQL callers. The state (core/breaker) lives in shared memory
 * (breaker_table.c) and changes at once: the transaction that fails is exactly the one that rolls
 * back, so a rollback takes nothing back. Settings are rows of goldenarch.breaker_settings, read at
 * each call; what is read is left in the entry for our own workers.
 */
#include "breaker_table.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/principal.h"
#include "goldenarch/shmem.h"
#include "ground.h"

#define PERMISSION_USE "agent.view"
#define WHAT "circuit breakers"

static int64
ns_of_row(const GaRows *rows, uint64 row, int col)
{
	int64 us = ga_row_int8(rows, row, col);

	return us < 0 ? -1 : Min(us, GA_BREAKER_LONGEST_US) * 1000;
}

GaBreakerSettings
ga_breaker_settings_of_row(const GaRows *rows, uint64 row, int first)
{
	GaBreakerSettings settings = {.failure_threshold = ga_row_int4(rows, row, first),
	                              .half_open_max_calls = ga_row_int4(rows, row, first + 1),
	                              .recovery_ns = ns_of_row(rows, row, first + 2),
	                              .window_ns = ns_of_row(rows, row, first + 3),
	                              .failure_rate = ga_row_float8(rows, row, first + 4),
	                              .slow_ns = ns_of_row(rows, row, first + 5)};

	return ga_breaker_settings_ok(&settings) ? settings : ga_breaker_defaults;
}

/* Inside ga_enter. A name nobody configured is made, with the defaults, by system.admin alone. */
static void
read_settings(const char *name, GaBreakerSettings *settings, GaBreakerSaved *saved)
{
	static GaStmt find =
	    GA_READ("SELECT " GA_BREAKER_SETTINGS_COLUMNS
	            " FROM goldenarch.breaker_settings s WHERE s.name OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	static GaStmt find_saved =
	    GA_READ("SELECT o.opened_at::pg_catalog.timestamptz, o.open_until::pg_catalog.timestamptz "
	            "FROM goldenarch.breaker_states o WHERE o.name OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	GaRows rows = ga_query(&find, ga_text(name));
	bool exists = ga_breaker_known(name);

	*settings = ga_breaker_defaults;
	*saved = (GaBreakerSaved){0};
	if (rows.count > 0)
		*settings = ga_breaker_settings_of_row(&rows, 0, 1);
	if (exists)
		return;
	if (rows.count == 0)
		ga_require_global(ga_principal(), "system.admin");
	rows = ga_query(&find_saved, ga_text(name));
	if (rows.count > 0)
		*saved = (GaBreakerSaved){ga_row_timestamp(&rows, 0, 1), ga_row_timestamp(&rows, 0, 2)};
}

static char *
name_argument(FunctionCallInfo fcinfo)
{
	char *name = ga_arg_text(fcinfo, 0, "name");

	if (strlen(name) > GA_BREAKER_NAME_MAX_BYTES)
		ga_bad_argument("name", "A breaker's name has at most 128 bytes.");
	return name;
}

void
ga_breaker_begin(FunctionCallInfo fcinfo, GaBreakerUse *use)
{
	GaCall call;

	ga_enter(&call, PERMISSION_USE);
	ga_require_preload(WHAT);
	use->name = name_argument(fcinfo);
	read_settings(use->name, &use->settings, &use->saved);
	ga_leave(&call);
}

void
ga_breaker_require(GaBreakerUse *use)
{
	if (!ga_breaker_enter(use))
		ereport(ERROR,
		        (errcode(GA_ERR_CIRCUIT_OPEN), errmsg("circuit \"%s\" is open", use->name),
		         errdetail("A call may be made in %.3f seconds.", (double) use->retry_ns / 1e9),
		         errhint("Wait, use a fallback, or reset it with breaker_reset().")));
}

GA_FUNCTION(ga_breaker_allow);
Datum
ga_breaker_allow(PG_FUNCTION_ARGS)
{
	GaBreakerUse use;
	bool allowed;

	ga_breaker_begin(fcinfo, &use);
	allowed = ga_breaker_enter(&use);
	if (allowed)
		ga_breaker_remember(use.name, use.generation);
	PG_RETURN_BOOL(allowed);
}

GA_FUNCTION(ga_require_breaker);
Datum
ga_require_breaker(PG_FUNCTION_ARGS)
{
	GaBreakerUse use;

	ga_breaker_begin(fcinfo, &use);
	ga_breaker_require(&use);
	ga_breaker_remember(use.name, use.generation);
	PG_RETURN_VOID();
}

static Datum
report(FunctionCallInfo fcinfo, bool ok, int took_argument)
{
	GaBreakerUse use;
	int64 took_ns = -1;

	ga_breaker_begin(fcinfo, &use);
	if (!PG_ARGISNULL(took_argument))
		took_ns = ga_arg_interval_us(fcinfo, took_argument, "took", true) * 1000;
	use.generation = ga_breaker_recall(use.name);
	return CStringGetTextDatum(
	    ga_fsm_state_name(GA_MACHINE_BREAKER, ga_breaker_finish(&use, ok, took_ns)));
}

GA_FUNCTION(ga_breaker_success);
Datum
ga_breaker_success(PG_FUNCTION_ARGS)
{
	return report(fcinfo, true, 1);
}

/* The error's text is the caller's own: it goes to the server log at DEBUG1 and nowhere else. */
GA_FUNCTION(ga_breaker_failure);
Datum
ga_breaker_failure(PG_FUNCTION_ARGS)
{
	Datum state = report(fcinfo, false, 2);

	if (!PG_ARGISNULL(1))
		ereport(DEBUG1, (errmsg_internal("a call through circuit \"%s\" failed: %s",
		                                 text_to_cstring(PG_GETARG_TEXT_PP(0)),
		                                 text_to_cstring(PG_GETARG_TEXT_PP(1)))));
	return state;
}

GA_FUNCTION(ga_set_breaker);
Datum
ga_set_breaker(PG_FUNCTION_ARGS)
{
	static GaStmt upsert =
	    GA_STMT("INSERT INTO goldenarch.breaker_settings (name, failure_threshold, recovery_us, "
	            "half_open_max_calls, window_us, failure_rate, slow_us) VALUES ($1, $2, $3, $4, "
	            "$5, $6, $7) "
	            "ON CONFLICT (name) DO UPDATE SET failure_threshold = $2, recovery_us = $3, "
	            "half_open_max_calls = $4, window_us = $5, failure_rate = $6, slow_us = $7",
	            TEXTOID, INT4OID, INT8OID, INT4OID, INT8OID, FLOAT8OID, INT8OID);
	GaCall call;
	GaJson details;
	char *name;
	int32 threshold;
	int32 permits;
	int64 recovery;
	int64 window;
	GaArg rate = ga_null();
	GaArg slow = ga_null();

	ga_enter_global(&call, "system.admin");
	ga_require_preload(WHAT);
	ga_require_writable("set_breaker()");
	name = name_argument(fcinfo);
	threshold = ga_arg_int4(fcinfo, 1, "failure_threshold", 1, 1000000);
	recovery = ga_arg_interval_us(fcinfo, 2, "recovery_timeout", false);
	permits = ga_arg_int4(fcinfo, 3, "half_open_max_calls", 1, GA_BREAKER_HALF_OPEN_MAX_CALLS);
	window = ga_arg_interval_us(fcinfo, 4, "time_window", false);
	if (!PG_ARGISNULL(5))
		rate = ga_float8((double) PG_GETARG_FLOAT4(5));
	if (!PG_ARGISNULL(5) && !(PG_GETARG_FLOAT4(5) > 0 && PG_GETARG_FLOAT4(5) <= 1))
		ga_bad_argument("failure_rate", "The rate is above 0 and at most 1.");
	if (!PG_ARGISNULL(6))
		slow = ga_int8(ga_arg_interval_us(fcinfo, 6, "slow_call", false));
	(void) ga_query(&upsert, ga_text(name), ga_int4(threshold), ga_int8(recovery), ga_int4(permits),
	                ga_int8(window), rate, slow);
	ga_json_begin_object(&details);
	ga_json_int8(&details, "failure_threshold", threshold);
	ga_json_int8(&details, "recovery_us", recovery);
	ga_json_int8(&details, "half_open_max_calls", permits);
	ga_json_int8(&details, "window_us", window);
	(void) ga_audit("breaker.set", "breaker", name, ga_json_end(&details));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_breaker_reset);
Datum
ga_breaker_reset(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_READ("SELECT 1::pg_catalog.int4 FROM goldenarch.breaker_settings s "
	                             "WHERE s.name OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	GaCall call;
	char *name;

	ga_enter(&call, "breaker.reset");
	ga_require_preload(WHAT);
	name = name_argument(fcinfo);
	if (!ga_breaker_known(name) && ga_query(&find, ga_text(name)).count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("circuit breaker \"%s\" does not exist", name),
		                errhint("SELECT name FROM goldenarch.circuit_breakers.")));
	(void) ga_audit("breaker.reset", "breaker", name, NULL);
	ga_leave(&call);
	(void) ga_breaker_close_named(name);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_breaker_reset_all);
Datum
ga_breaker_reset_all(PG_FUNCTION_ARGS)
{
	GaCall call;

	(void) fcinfo;
	ga_enter(&call, "breaker.reset");
	ga_require_preload(WHAT);
	(void) ga_audit("breaker.reset", "breaker", "*", NULL);
	ga_leave(&call);
	PG_RETURN_INT32(ga_breaker_close_named(NULL));
}

static void
add_entry(FunctionCallInfo fcinfo, const GaBreakerEntry *entry)
{
	int64 now = ga_monotonic_ns();
	const GaBreaker *breaker = &entry->breaker;
	int64 successes;
	int64 failures;
	Datum values[8];
	bool nulls[8] = {false};
	Interval *wait = palloc0(sizeof(Interval));

	ga_breaker_counts(breaker, &entry->settings, now, &successes, &failures);
	wait->time = ga_breaker_retry_after_ns(breaker, &entry->settings, now) / 1000;
	values[0] = CStringGetTextDatum(entry->name);
	values[1] = CStringGetTextDatum(ga_fsm_state_name(GA_MACHINE_BREAKER, breaker->state));
	values[2] = Int64GetDatum(failures);
	values[3] = Int64GetDatum(successes);
	values[4] = Int64GetDatum(breaker->total_calls);
	values[5] = Int64GetDatum(breaker->total_failures);
	values[6] = TimestampTzGetDatum(breaker->opened_at_us);
	values[7] = IntervalPGetDatum(wait);
	nulls[6] = breaker->state == GA_BREAKER_CLOSED || breaker->opened_at_us == 0;
	nulls[7] = breaker->state == GA_BREAKER_CLOSED;
	ga_set_add(fcinfo, values, nulls);
}

GA_FUNCTION(ga_breaker_list);
Datum
ga_breaker_list(PG_FUNCTION_ARGS)
{
	static GaStmt names =
	    GA_READ("SELECT s.name::pg_catalog.text FROM goldenarch.breaker_settings s");
	GaBreakerEntry *entries;
	GaCall call;
	GaRows rows;
	int count;
	int i;

	if (!is_member_of_role(GetUserId(), ROLE_PG_MONITOR))
		ga_require_permission(ga_principal(), PERMISSION_USE);
	ga_enter_as(&call, &ga_system_principal);
	ga_require_preload(WHAT);
	entries = ga_breaker_copy(&count);
	rows = ga_query(&names);
	ga_set_begin(fcinfo);
	for (i = 0; i < count; i++)
		add_entry(fcinfo, &entries[i]);
	for (uint64 row = 0; row < rows.count; row++)
	{
		GaBreakerEntry unused = {.settings = ga_breaker_defaults};

		strlcpy(unused.name, ga_row_text_present(&rows, row, 1), sizeof(unused.name));
		for (i = 0; i < count && strcmp(entries[i].name, unused.name) != 0; i++)
			;
		if (i == count)
			add_entry(fcinfo, &unused);
	}
	ga_leave(&call);
	return (Datum) 0;
}
