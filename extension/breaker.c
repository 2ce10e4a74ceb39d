/* SPDX-License-Identifier: PostgreSQL */
/*
 * Circuit breakers, shared by every client of the database. The state (core/breaker) lives in
 * shared memory and changes at once: the transaction that fails is exactly the one that rolls back,
 * so a rollback takes nothing back. Settings are rows of goldenarch.breaker_settings; what SQL
 * calls read there is left in the entry for our own workers, which call without a transaction.
 *
 * One LWLock over the whole table, held for a scan of names and some arithmetic; nothing else is
 * acquired under it and nothing throws. Entries go with their database. Open circuits are written
 * to goldenarch.breaker_states by maintenance and taken up again after a restart.
 */
#include "goldenarch/breaker.h"

#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "core/breaker.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/principal.h"
#include "goldenarch/query.h"
#include "goldenarch/shmem.h"
#include "ground.h"
#include "limiters.h"

#define PERMISSION_USE "agent.view"
#define WHAT "circuit breakers"

typedef struct Entry
{
	Oid database; /* InvalidOid: free, and so are all behind it */
	uint32 hash;
	char name[GA_BREAKER_NAME_MAX_BYTES + 1];
	GaBreakerSettings settings;
	GaBreaker breaker;
} Entry;

typedef struct Breakers
{
	LWLock lock;
	Entry entries[FLEXIBLE_ARRAY_MEMBER];
} Breakers;

/* The last call this backend was admitted to, a name each; consumed by its outcome. */
typedef struct Admitted
{
	char name[GA_BREAKER_NAME_MAX_BYTES + 1];
	int64 generation;
} Admitted;

#define ADMITTED_KEPT 16

void *ga_breaker_shared;
static Admitted admitted[ADMITTED_KEPT];
static int admitted_next;

Size
ga_breaker_shmem_size(void)
{
	return add_size(offsetof(Breakers, entries), mul_size(sizeof(Entry), ga_guc_max_breakers));
}

void
ga_breaker_shmem_init(void *part)
{
	LWLockInitialize(&((Breakers *) part)->lock, ga_lwlock_tranche());
}

static void
remember_admitted(const char *name, int64 generation)
{
	int i;

	for (i = 0; i < ADMITTED_KEPT; i++)
		if (strcmp(admitted[i].name, name) == 0)
			break;
	if (i == ADMITTED_KEPT)
		i = admitted_next++ % ADMITTED_KEPT;
	strlcpy(admitted[i].name, name, sizeof(admitted[i].name));
	admitted[i].generation = generation;
}

/* -1 when this backend does not know of an admitted call. */
static int64
take_admitted(const char *name)
{
	int i;

	for (i = 0; i < ADMITTED_KEPT; i++)
	{
		if (strcmp(admitted[i].name, name) == 0)
		{
			admitted[i].name[0] = '\0';
			return admitted[i].generation;
		}
	}
	return -1;
}

/* Under the lock. Null when the entry is not there and was not wanted, or the table is full. */
static Entry *
find_entry(const char *name, bool create)
{
	Breakers *breakers = ga_breaker_shared;
	uint32 hash = DatumGetUInt32(hash_any((const unsigned char *) name, (int) strlen(name)));
	int i;

	for (i = 0; i < ga_guc_max_breakers; i++)
	{
		Entry *entry = &breakers->entries[i];

		if (!OidIsValid(entry->database))
		{
			if (!create)
				return NULL;
			memset(entry, 0, sizeof(*entry));
			entry->database = MyDatabaseId;
			entry->hash = hash;
			strlcpy(entry->name, name, sizeof(entry->name));
			entry->settings = ga_breaker_defaults;
			return entry;
		}
		if (entry->hash == hash && entry->database == MyDatabaseId &&
		    strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

static void
take_up(Entry *entry, const GaBreakerSaved *saved)
{
	int64 left_us = saved->open_until - ga_now();

	ga_breaker_reopen(&entry->breaker, ga_monotonic_ns() + Max(left_us, 0) * 1000,
	                  saved->opened_at);
}

static void raise_table_full(void) GA_NORETURN;

static void
raise_table_full(void)
{
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
	                errmsg("the table of circuit breakers is full"),
	                errdetail("It holds %d breakers.", ga_guc_max_breakers),
	                errhint("Raise goldenarch.max_breakers and restart the server.")));
}

/*
 * The entry under the exclusive lock, its settings brought up to date. Raises 53400, the lock
 * released, when the table is full.
 */
static Entry *
lock_entry(const char *name, const GaBreakerSettings *settings, const GaBreakerSaved *saved)
{
	Breakers *breakers = ga_breaker_shared;
	Entry *entry;

	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	entry = find_entry(name, false);
	if (!entry)
	{
		entry = find_entry(name, true);
		if (!entry)
		{
			LWLockRelease(&breakers->lock);
			raise_table_full();
		}
		if (saved->opened_at)
			take_up(entry, saved);
	}
	entry->settings = *settings;
	return entry;
}

static bool
entry_exists(const char *name)
{
	Breakers *breakers = ga_breaker_shared;
	bool found;

	LWLockAcquire(&breakers->lock, LW_SHARED);
	found = find_entry(name, false) != NULL;
	LWLockRelease(&breakers->lock);
	return found;
}

static GaBreakerSettings
settings_of_row(const GaRows *rows, uint64 row, int first)
{
	GaBreakerSettings settings = {.failure_threshold = ga_row_int4(rows, row, first),
	                              .half_open_max_calls = ga_row_int4(rows, row, first + 1),
	                              .recovery_ns = ga_row_int8(rows, row, first + 2) * 1000,
	                              .window_ns = ga_row_int8(rows, row, first + 3) * 1000,
	                              .failure_rate = ga_row_float8(rows, row, first + 4),
	                              .slow_ns = ga_row_int8(rows, row, first + 5) * 1000};

	return ga_breaker_settings_ok(&settings) ? settings : ga_breaker_defaults;
}

#define SETTINGS_COLUMNS                                                             \
	"s.failure_threshold::pg_catalog.int4, s.half_open_max_calls::pg_catalog.int4, " \
	"s.recovery_us::pg_catalog.int8, s.window_us::pg_catalog.int8, "                 \
	"COALESCE(s.failure_rate, 0)::pg_catalog.float8, COALESCE(s.slow_us, 0)::pg_catalog.int8"

/* Inside ga_enter. A name nobody configured is made, with the defaults, by system.admin alone. */
static void
read_settings(const char *name, GaBreakerSettings *settings, GaBreakerSaved *saved)
{
	static GaStmt find =
	    GA_READ("SELECT " SETTINGS_COLUMNS
	            " FROM goldenarch.breaker_settings s WHERE s.name OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	static GaStmt find_saved =
	    GA_READ("SELECT o.opened_at::pg_catalog.timestamptz, o.open_until::pg_catalog.timestamptz "
	            "FROM goldenarch.breaker_states o WHERE o.name OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	GaRows rows = ga_query(&find, ga_text(name));
	bool exists = entry_exists(name);

	*settings = ga_breaker_defaults;
	*saved = (GaBreakerSaved){0};
	if (rows.count > 0)
		*settings = settings_of_row(&rows, 0, 1);
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

bool
ga_breaker_enter(GaBreakerUse *use)
{
	Breakers *breakers = ga_breaker_shared;
	Entry *entry = lock_entry(use->name, &use->settings, &use->saved);
	int64 now = ga_monotonic_ns();
	bool allowed = ga_breaker_admit(&entry->breaker, &entry->settings, now);

	use->generation = entry->breaker.generation;
	use->retry_ns = allowed ? 0 : ga_breaker_retry_after_ns(&entry->breaker, &entry->settings, now);
	LWLockRelease(&breakers->lock);
	if (!allowed)
		ga_count(GA_COUNT_BREAKER_REFUSED);
	return allowed;
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
		remember_admitted(use.name, use.generation);
	PG_RETURN_BOOL(allowed);
}

GA_FUNCTION(ga_require_breaker);
Datum
ga_require_breaker(PG_FUNCTION_ARGS)
{
	GaBreakerUse use;

	ga_breaker_begin(fcinfo, &use);
	ga_breaker_require(&use);
	remember_admitted(use.name, use.generation);
	PG_RETURN_VOID();
}

GaBreakerState
ga_breaker_finish(const GaBreakerUse *use, bool ok, int64 took_ns)
{
	Breakers *breakers = ga_breaker_shared;
	Entry *entry = lock_entry(use->name, &use->settings, &use->saved);
	GaBreakerState state;
	bool opened = ga_breaker_outcome(&entry->breaker, &entry->settings, ga_monotonic_ns(), ok,
	                                 use->generation, took_ns);

	if (opened)
		entry->breaker.opened_at_us = ga_now();
	state = entry->breaker.state;
	LWLockRelease(&breakers->lock);
	if (opened)
		ga_count(GA_COUNT_BREAKER_OPENED);
	return state;
}

static Datum
report(FunctionCallInfo fcinfo, bool ok, int took_argument)
{
	GaBreakerUse use;
	int64 took_ns = -1;

	ga_breaker_begin(fcinfo, &use);
	if (!PG_ARGISNULL(took_argument))
		took_ns = ga_arg_interval_us(fcinfo, took_argument, "took", true) * 1000;
	use.generation = take_admitted(use.name);
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

bool
ga_breaker_try(const char *name)
{
	Breakers *breakers = ga_breaker_shared;
	Entry *entry;
	bool allowed = true;
	int64 generation = -1;

	if (!breakers)
		return true;
	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	entry = find_entry(name, true);
	if (entry)
	{
		allowed = ga_breaker_admit(&entry->breaker, &entry->settings, ga_monotonic_ns());
		generation = entry->breaker.generation;
	}
	LWLockRelease(&breakers->lock);
	if (allowed)
		remember_admitted(name, generation);
	else
		ga_count(GA_COUNT_BREAKER_REFUSED);
	return allowed;
}

void
ga_breaker_report(const char *name, bool ok, const char *error)
{
	Breakers *breakers = ga_breaker_shared;
	int64 generation = take_admitted(name);
	bool opened = false;
	Entry *entry;

	if (!breakers)
		return;
	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	entry = find_entry(name, true);
	if (entry)
	{
		opened = ga_breaker_outcome(&entry->breaker, &entry->settings, ga_monotonic_ns(), ok,
		                            generation, -1);
		if (opened)
			entry->breaker.opened_at_us = ga_now();
	}
	LWLockRelease(&breakers->lock);
	if (!opened)
		return;
	ga_count(GA_COUNT_BREAKER_OPENED);
	ereport(LOG, (errmsg("circuit \"%s\" opened", name), error ? errdetail("%s", error) : 0));
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

static bool
close_entry(Entry *entry)
{
	bool was_closed = entry->breaker.state == GA_BREAKER_CLOSED;

	ga_breaker_close(&entry->breaker);
	return !was_closed;
}

GA_FUNCTION(ga_breaker_reset);
Datum
ga_breaker_reset(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_READ("SELECT 1::pg_catalog.int4 FROM goldenarch.breaker_settings s "
	                             "WHERE s.name OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	Breakers *breakers;
	Entry *entry;
	GaCall call;
	char *name;

	ga_enter(&call, "breaker.reset");
	ga_require_preload(WHAT);
	name = name_argument(fcinfo);
	if (!entry_exists(name) && ga_query(&find, ga_text(name)).count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("circuit breaker \"%s\" does not exist", name),
		                errhint("SELECT name FROM goldenarch.circuit_breakers.")));
	(void) ga_audit("breaker.reset", "breaker", name, NULL);
	ga_leave(&call);
	breakers = ga_breaker_shared;
	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	entry = find_entry(name, false);
	if (entry)
		(void) close_entry(entry);
	LWLockRelease(&breakers->lock);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_breaker_reset_all);
Datum
ga_breaker_reset_all(PG_FUNCTION_ARGS)
{
	Breakers *breakers;
	GaCall call;
	int32 count = 0;
	int i;

	(void) fcinfo;
	ga_enter(&call, "breaker.reset");
	ga_require_preload(WHAT);
	(void) ga_audit("breaker.reset", "breaker", "*", NULL);
	ga_leave(&call);
	breakers = ga_breaker_shared;
	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	for (i = 0; i < ga_guc_max_breakers && OidIsValid(breakers->entries[i].database); i++)
		if (breakers->entries[i].database == MyDatabaseId && close_entry(&breakers->entries[i]))
			count++;
	LWLockRelease(&breakers->lock);
	PG_RETURN_INT32(count);
}

static int
entries_used(const Breakers *breakers)
{
	int n;

	for (n = 0; n < ga_guc_max_breakers && OidIsValid(breakers->entries[n].database); n++)
		;
	return n;
}

/* This database's entries, copied under the lock. */
static Entry *
copy_entries(int *count)
{
	Breakers *breakers = ga_breaker_shared;
	Entry *copies;
	int n;
	int i;

	*count = 0;
	copies =
	    MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(Entry), ga_guc_max_breakers));
	LWLockAcquire(&breakers->lock, LW_SHARED);
	n = entries_used(breakers);
	for (i = 0; i < n; i++)
		if (breakers->entries[i].database == MyDatabaseId)
			copies[(*count)++] = breakers->entries[i];
	LWLockRelease(&breakers->lock);
	return copies;
}

static void
add_entry(FunctionCallInfo fcinfo, const Entry *entry)
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
	Entry *entries;
	GaCall call;
	GaRows rows;
	int count;
	int i;

	if (!is_member_of_role(GetUserId(), ROLE_PG_MONITOR))
		ga_require_permission(ga_principal(), PERMISSION_USE);
	ga_enter_as(&call, &ga_system_principal);
	ga_require_preload(WHAT);
	entries = copy_entries(&count);
	rows = ga_query(&names);
	ga_set_begin(fcinfo);
	for (i = 0; i < count; i++)
		add_entry(fcinfo, &entries[i]);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Entry unused = {.settings = ga_breaker_defaults};

		strlcpy(unused.name, ga_row_text(&rows, row, 1), sizeof(unused.name));
		for (i = 0; i < count && strcmp(entries[i].name, unused.name) != 0; i++)
			;
		if (i == count)
			add_entry(fcinfo, &unused);
	}
	ga_leave(&call);
	return (Datum) 0;
}

static void
load_settings(void)
{
	static GaStmt all = GA_READ("SELECT s.name::pg_catalog.text, " SETTINGS_COLUMNS
	                            " FROM goldenarch.breaker_settings s");
	Breakers *breakers = ga_breaker_shared;
	GaRows rows = ga_query(&all);

	for (uint64 row = 0; row < rows.count; row++)
	{
		char *name = ga_row_text(&rows, row, 1);
		GaBreakerSettings settings = settings_of_row(&rows, row, 2);
		Entry *entry;

		LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
		entry = find_entry(name, false);
		if (entry)
			entry->settings = settings;
		LWLockRelease(&breakers->lock);
	}
}

/* Rows of circuits that are open no longer go; those nobody knows since the restart open again. */
static int64
reconcile_saved(const Entry *entries, int count)
{
	static GaStmt all =
	    GA_READ("SELECT o.name::pg_catalog.text, o.opened_at::pg_catalog.timestamptz, "
	            "o.open_until::pg_catalog.timestamptz FROM goldenarch.breaker_states o");
	static GaStmt forget = GA_STMT(
	    "DELETE FROM goldenarch.breaker_states o WHERE o.name OPERATOR(pg_catalog.=) $1", TEXTOID);
	GaRows rows = ga_query(&all);
	int64 changed = 0;

	for (uint64 row = 0; row < rows.count; row++)
	{
		char *name = ga_row_text(&rows, row, 1);
		GaBreakerSaved saved = {ga_row_timestamp(&rows, row, 2), ga_row_timestamp(&rows, row, 3)};
		int i;

		for (i = 0; i < count && strcmp(entries[i].name, name) != 0; i++)
			;
		if (i < count && entries[i].breaker.state == GA_BREAKER_OPEN)
			continue;
		changed++;
		if (i < count || saved.open_until <= ga_now())
			(void) ga_query(&forget, ga_text(name));
		else
		{
			(void) lock_entry(name, &ga_breaker_defaults, &saved);
			LWLockRelease(&((Breakers *) ga_breaker_shared)->lock);
		}
	}
	return changed;
}

/* Entries of databases that are gone make room, once the table is half full. */
static int64
drop_orphans(void)
{
	static GaStmt all = GA_STMT("SELECT d.oid::pg_catalog.int8 FROM pg_catalog.pg_database d");
	Breakers *breakers = ga_breaker_shared;
	int64 dropped = 0;
	GaRows rows;
	Oid *live;
	int nlive;
	int n;
	int i;

	LWLockAcquire(&breakers->lock, LW_SHARED);
	n = entries_used(breakers);
	LWLockRelease(&breakers->lock);
	if (n <= ga_guc_max_breakers / 2)
		return 0;
	rows = ga_query(&all);
	live = palloc(sizeof(Oid) * (rows.count + 1));
	for (nlive = 0; nlive < (int) rows.count; nlive++)
		live[nlive] = (Oid) ga_row_int8(&rows, nlive, 1);
	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	n = entries_used(breakers);
	for (i = n - 1; i >= 0; i--)
	{
		int j;

		for (j = 0; j < nlive && live[j] != breakers->entries[i].database; j++)
			;
		if (j < nlive)
			continue;
		breakers->entries[i] = breakers->entries[--n];
		memset(&breakers->entries[n], 0, sizeof(Entry));
		dropped++;
	}
	LWLockRelease(&breakers->lock);
	return dropped;
}

int64
ga_breaker_maintain(void)
{
	static GaStmt save = GA_STMT(
	    "INSERT INTO goldenarch.breaker_states AS o (name, opened_at, open_until) "
	    "VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET opened_at = $2, open_until = $3 "
	    "WHERE o.opened_at OPERATOR(pg_catalog.<>) $2",
	    TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	Entry *entries;
	int64 changed;
	int count;
	int i;

	if (!ga_breaker_shared)
		return 0;
	entries = copy_entries(&count);
	changed = reconcile_saved(entries, count) + drop_orphans();
	load_settings();
	for (i = 0; i < count; i++)
	{
		const GaBreaker *breaker = &entries[i].breaker;

		if (breaker->state == GA_BREAKER_OPEN && breaker->opened_at_us != 0)
			changed +=
			    (int64) ga_query(
			        &save, ga_text(entries[i].name), ga_timestamp(breaker->opened_at_us),
			        ga_timestamp(ga_now() + (breaker->open_until_ns - ga_monotonic_ns()) / 1000))
			        .count;
	}
	return changed;
}
