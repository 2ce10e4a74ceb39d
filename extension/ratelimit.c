/* SPDX-License-Identifier: PostgreSQL */
/*
 * Rate limits: GCRA (core/gcra), one int64 a key, in shared memory; immediate, never rolled back.
 *
 * The table is a set of buckets of 16 slots, found by a 128-bit hash of (database, limit, tenant,
 * key) under secrets drawn at server start, so that no caller can aim at another's slot. A slot
 * whose arrival time has passed is an idle key and is simply used again: nothing is ever evicted
 * that still counts. A bucket full of keys that count refuses a new one with 53400.
 *
 * One LWLock for each 1/64 of the buckets, held for one bucket's scan; under it nothing is acquired
 * or thrown. Limits themselves are rows of goldenarch.rate_limits, read at each call.
 */
#include "goldenarch/compat.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/gcra.h"
#include "core/limits.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/principal.h"
#include "goldenarch/query.h"
#include "goldenarch/shmem.h"
#include "limiters.h"

#define WHAT "rate limits"
#define LOCKS 64
#define WAYS 16
/* Slots a configured key: keeps a bucket of 16 from filling before the table is full. */
#define SLACK 4

typedef struct Slot
{
	uint64 key[2];
	int64 tat; /* ns of the monotonic clock; in the past: free */
} Slot;

typedef struct Rates
{
	LWLockPadded locks[LOCKS];
	uint64 secret[2];
	uint64 buckets; /* a power of two */
	Slot slots[FLEXIBLE_ARRAY_MEMBER];
} Rates;

void *ga_rate_shared;

static uint64
bucket_count(void)
{
	return pg_nextpower2_64(((uint64) ga_guc_max_rate_keys * SLACK + WAYS - 1) / WAYS);
}

Size
ga_rate_shmem_size(void)
{
	return add_size(offsetof(Rates, slots), mul_size(sizeof(Slot) * WAYS, bucket_count()));
}

void
ga_rate_shmem_init(void *part)
{
	Rates *rates = part;
	int i;

	for (i = 0; i < LOCKS; i++)
		LWLockInitialize(&rates->locks[i].lock, ga_lwlock_tranche());
	rates->buckets = bucket_count();
	if (!pg_strong_random(rates->secret, sizeof(rates->secret)))
		ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR),
		                errmsg("could not draw the secret of the rate limits")));
}

/* The key's slot, or a free one made its own, or null. Under the bucket's lock. */
static Slot *
find_slot(Slot *bucket, const uint64 *key, int64 now)
{
	Slot *idle = NULL;
	int i;

	for (i = 0; i < WAYS; i++)
	{
		if (bucket[i].key[0] == key[0] && bucket[i].key[1] == key[1])
			return &bucket[i];
		if (!idle && bucket[i].tat <= now)
			idle = &bucket[i];
	}
	if (idle)
		*idle = (Slot){.key = {key[0], key[1]}};
	return idle;
}

/* False when the table has no room for this key. */
static bool
decide(const GaRate *rate, const char *key_text, int key_bytes, int64 cost,
       GaGcraDecision *decision)
{
	Rates *rates = ga_rate_shared;
	const unsigned char *bytes = (const unsigned char *) key_text;
	uint64 key[2] = {hash_bytes_extended(bytes, key_bytes, rates->secret[0]),
	                 hash_bytes_extended(bytes, key_bytes, rates->secret[1])};
	uint64 bucket = key[0] & (rates->buckets - 1);
	LWLock *lock = &rates->locks[bucket % LOCKS].lock;
	int64 now;
	Slot *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	now = ga_monotonic_ns();
	slot = find_slot(&rates->slots[bucket * WAYS], key, now);
	if (slot)
	{
		*decision = ga_gcra(rate, slot->tat, now, cost);
		slot->tat = decision->tat;
	}
	LWLockRelease(lock);
	return slot != NULL;
}

static bool
parse_rate(const char *text, int64 burst, GaRate *rate, int64 *per_day)
{
	int64 count;
	int64 period_ns;

	if (!ga_rate_parse(text, strlen(text), &count, &period_ns) || count > GA_RATE_COUNT_MAX)
		return false;
	*per_day = count * (INT64CONST(86400) * 1000000000 / period_ns);
	return ga_rate_make(count, period_ns, burst, rate);
}

/* The named limit. */
static void
find_named(const char *name, GaRate *rate)
{
	static GaStmt find = GA_READ("SELECT l.rate::pg_catalog.text, l.burst::pg_catalog.int4 "
	                             "FROM goldenarch.rate_limits l "
	                             "WHERE l.name OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	GaRows rows = ga_query(&find, ga_text(name));
	int64 per_day;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("rate limit \"%s\" does not exist", name),
		                errhint("Make it with goldenarch.set_rate_limit().")));
	if (!parse_rate(ga_row_text_present(&rows, 0, 1), ga_row_int4(&rows, 0, 2), rate, &per_day))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
		                errmsg("rate limit \"%s\" holds no valid rate", name)));
}

/* The highest rate among the caller's roles and what they inherit; who has none is anonymous. */
static void
find_role_rate(const GaPrincipal *who, GaRate *rate)
{
	static GaStmt find = GA_READ(
	    "WITH RECURSIVE r(role) AS ("
	    "SELECT pg_catalog.unnest($1) "
	    "UNION SELECT g.role::pg_catalog.text FROM goldenarch.role_grants g "
	    "WHERE g.subject OPERATOR(pg_catalog.=) $2 AND g.tenant OPERATOR(pg_catalog.=) $3 AND $4 "
	    "UNION SELECT pg_catalog.unnest(d.inherits::pg_catalog.text[]) FROM r "
	    "JOIN goldenarch.roles d ON d.role OPERATOR(pg_catalog.=) r.role) "
	    "SELECT d.rate_limit::pg_catalog.text FROM goldenarch.roles d "
	    "WHERE d.rate_limit IS NOT NULL AND (d.role OPERATOR(pg_catalog.=) 'anonymous' "
	    "OR d.role OPERATOR(pg_catalog.=) ANY (SELECT r.role FROM r))",
	    TEXTARRAYOID, TEXTOID, TEXTOID, BOOLOID);
	GaRows rows = ga_query(&find, ga_text_array(who->roles, who->nroles), ga_text(who->subject),
	                       ga_text(who->tenant), ga_bool(who->kind != GA_ANONYMOUS));
	int64 highest = 0;

	for (uint64 row = 0; row < rows.count; row++)
	{
		GaRate candidate;
		int64 per_day;

		if (parse_rate(ga_row_text_present(&rows, row, 1), 0, &candidate, &per_day) &&
		    per_day > highest)
		{
			highest = per_day;
			*rate = candidate;
		}
	}
	if (highest == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("no role of the caller has a rate limit"),
		                errhint("Give a role one with goldenarch.create_role().")));
}

typedef struct Asked
{
	char *name; /* null: the caller's roles' rate */
	char *key;
	int64 cost;
	GaGcraDecision decision;
} Asked;

/* Arguments (name, key, cost) of both functions, and the decision. */
static void
ask(FunctionCallInfo fcinfo, Asked *asked)
{
	StringInfoData key;
	GaCall call;
	GaRate rate;

	ga_enter(&call, NULL);
	ga_require_preload(WHAT);
	asked->name = ga_arg_text_or_null(fcinfo, 0, "name");
	asked->key = ga_arg_text_or_null(fcinfo, 1, "key");
	asked->cost = ga_arg_int4(fcinfo, 2, "cost", 0, GA_RATE_BURST_MAX);
	if (!asked->key)
		asked->key = pstrdup(call.principal->subject);
	else if (strlen(asked->key) > GA_RATE_KEY_MAX_BYTES)
		ga_bad_argument("key", "A key has at most 256 bytes.");
	if (asked->name)
		find_named(asked->name, &rate);
	else
		find_role_rate(call.principal, &rate);

	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) &MyDatabaseId, sizeof(MyDatabaseId));
	appendStringInfo(&key, "%c%s", asked->name ? 'n' : 'r', asked->name ? asked->name : "");
	appendStringInfoChar(&key, '\0');
	appendStringInfoString(&key, call.principal->tenant);
	appendStringInfoChar(&key, '\0');
	appendStringInfoString(&key, asked->key);
	ga_leave(&call);
	if (!decide(&rate, key.data, key.len, asked->cost, &asked->decision))
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		                errmsg("the table of rate limits is full"),
		                errdetail("goldenarch.max_rate_keys is %d.", ga_guc_max_rate_keys),
		                errhint("Raise goldenarch.max_rate_keys and restart the server.")));
	ga_count(asked->decision.allowed ? GA_COUNT_RATE_ALLOWED : GA_COUNT_RATE_LIMITED);
}

static Interval *
interval_of_ns(int64 ns)
{
	Interval *interval = palloc0(sizeof(Interval));

	/* rounded up: who waits as long as he is told is let through */
	interval->time = ns / 1000 + (ns % 1000 != 0);
	return interval;
}

GA_FUNCTION(ga_rate_limit);
Datum
ga_rate_limit(PG_FUNCTION_ARGS)
{
	Asked asked;
	Datum values[4];
	bool nulls[4] = {false};

	ask(fcinfo, &asked);
	values[0] = BoolGetDatum(asked.decision.allowed);
	values[1] = Int32GetDatum((int32) Min(asked.decision.remaining, PG_INT32_MAX));
	values[2] = IntervalPGetDatum(interval_of_ns(asked.decision.retry_after_ns));
	values[3] = IntervalPGetDatum(interval_of_ns(asked.decision.reset_after_ns));
	nulls[2] = asked.decision.never;
	return ga_return_record(fcinfo, values, nulls, 4);
}

GA_FUNCTION(ga_require_rate);
Datum
ga_require_rate(PG_FUNCTION_ARGS)
{
	Asked asked;

	ask(fcinfo, &asked);
	if (asked.decision.allowed)
		PG_RETURN_VOID();
	ereport(ERROR,
	        (errcode(GA_ERR_RATE_LIMITED),
	         asked.name ? errmsg("rate limit \"%s\" exceeded for \"%s\"", asked.name, asked.key)
	                    : errmsg("rate limit of the caller's roles exceeded for \"%s\"", asked.key),
	         asked.decision.never
	             ? errdetail("A cost of %lld is more than the burst.", (long long) asked.cost)
	             : errdetail("The call may be made in %.3f seconds.",
	                         (double) asked.decision.retry_after_ns / 1e9),
	         asked.decision.never ? errhint("Split the call; waiting will not help.")
	                              : errhint("Wait that long and try again.")));
}

GA_FUNCTION(ga_set_rate_limit);
Datum
ga_set_rate_limit(PG_FUNCTION_ARGS)
{
	static GaStmt upsert =
	    GA_STMT("INSERT INTO goldenarch.rate_limits (name, rate, burst) VALUES ($1, $2, $3) "
	            "ON CONFLICT (name) DO UPDATE SET rate = $2, burst = $3",
	            TEXTOID, TEXTOID, INT4OID);
	GaCall call;
	GaJson details;
	char *name;
	char *text;
	int32 burst = 0;
	GaRate rate;
	int64 per_day;

	ga_enter_global(&call, "system.admin");
	ga_require_preload(WHAT);
	ga_require_writable("set_rate_limit()");
	name = ga_arg_text(fcinfo, 0, "name");
	if (strlen(name) > GA_NAME_MAX_BYTES)
		ga_bad_argument("name", "A limit's name has at most 128 bytes.");
	text = ga_arg_text(fcinfo, 1, "rate");
	if (!PG_ARGISNULL(2))
		burst = ga_arg_int4(fcinfo, 2, "burst", 1, GA_RATE_BURST_MAX);
	if (!parse_rate(text, burst, &rate, &per_day))
		ga_bad_argument("rate", "A rate is a whole number up to 1000000000, a slash and one of "
		                        "second, minute, hour and day, as in '30/minute'.");
	(void) ga_query(&upsert, ga_text(name), ga_text(text), ga_int4(burst));
	ga_json_begin_object(&details);
	ga_json_text(&details, "rate", text);
	ga_json_int8(&details, "burst", rate.burst);
	(void) ga_audit("rate_limit.set", "rate_limit", name, ga_json_end(&details));
	ga_leave(&call);
	PG_RETURN_VOID();
}
