/* SPDX-License-Identifier: PostgreSQL */
/*
 * The mirror: budget states for gateways that must not reach PostgreSQL, in Redis as
 * budget:state:<tenant>:<budget>, each with a time to live. Never the truth: written from committed
 * rows only, read by nothing of ours; while Redis is away, or this worker, the keys go away and
 * no answer in SQL changes. Each pass reads every budget and sends what differs from what was sent,
 * so no commit can be passed over; a pass that took long is followed by a longer pause.
 */
#include "entry.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "backoff.h"
#include "goldenarch/breaker.h"
#include "goldenarch/bridge.h"
#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "goldenarch/query.h"
#include "link.h"
#include "redis.h"
#include "worker.h"

#define TTL_MS 60000
#define PAGE_ROWS 1000
#define MS_NS INT64CONST(1000000)
#define SEND_AGAIN_NS (20000 * MS_NS)
#define IDLE_PASS_MS 5000
#define PING_MS 1000
#define PAUSE_MIN_MS 100
#define PAUSE_FACTOR 10
#define RECONNECT_BASE_MS 250
#define RECONNECT_CAP_MS 4000
#define BREAKER "redis"

/* What was sent of a budget: a hash of its state, and when. */
typedef struct Sent
{
	uint64 key; /* hash of the Redis key */
	uint64 state;
	int64 at;
} Sent;

typedef struct Mirror
{
	GaRedis *redis;
	char *url; /* that it was opened with */
	HTAB *sent;
	int failures;
	int64 next_pass;
	MemoryContext page;
	/* The running page. */
	char tenant[256];
	char budget[2048];
	int rows;
	GaRedisEntry entries[PAGE_ROWS];
	Sent news[PAGE_ROWS];
	int nentries;
} Mirror;

static void
forget_sent(Mirror *mirror)
{
	HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(Sent)};

	if (mirror->sent)
		hash_destroy(mirror->sent);
	mirror->sent = hash_create("goldenarch mirror", 1024, &control, HASH_ELEM | HASH_BLOBS);
}

static void
lose(Mirror *mirror, const char *error)
{
	if (mirror->redis)
		ga_redis_close(mirror->redis);
	mirror->redis = NULL;
	mirror->failures++;
	ga_breaker_report(BREAKER, false, error);
	ga_bridge_report_link(GA_PEER_REDIS, GA_LINK_DOWN, NULL, error);
}

static bool
connect_redis(Mirror *mirror)
{
	char error[GA_REDIS_ERROR_BYTES];

	if (!ga_breaker_try(BREAKER))
		return false;
	mirror->redis = ga_redis_open(mirror->url, error);
	if (!mirror->redis)
	{
		lose(mirror, error);
		return false;
	}
	ga_breaker_report(BREAKER, true, NULL);
	ga_bridge_report_link(GA_PEER_REDIS, GA_LINK_CONNECTED, ga_redis_server(mirror->redis), NULL);
	mirror->failures = 0;
	mirror->next_pass = 0;
	/* It may have lost everything, or be another one. */
	forget_sent(mirror);
	return true;
}

/* Room for what is new in this row; true strings live in mirror->page. */
static void
consider(Mirror *mirror, const char *state, TimestampTz now)
{
	char *key = psprintf("budget:state:%s:%s", mirror->tenant, mirror->budget);
	Sent news = {
	    .key = DatumGetUInt64(hash_any_extended((const unsigned char *) key, strlen(key), 0)),
	    .state = DatumGetUInt64(hash_any_extended((const unsigned char *) state, strlen(state), 1)),
	    .at = ga_monotonic_ns()};
	Sent *old = hash_search(mirror->sent, &news.key, HASH_FIND, NULL);

	if (old && old->state == news.state && news.at - old->at < SEND_AGAIN_NS)
		return;
	mirror->news[mirror->nentries] = news;
	mirror->entries[mirror->nentries++] =
	    (GaRedisEntry){key, psprintf("{\"as_of\": \"%s\", %s", timestamptz_to_str(now), state + 1)};
}

static void
read_page(void *arg)
{
	static GaStmt find = GA_STMT(
	    "SELECT l.tenant::pg_catalog.text, l.budget::pg_catalog.text,"
	    " pg_catalog.jsonb_build_object('budget', l.budget, 'tenant', l.tenant, 'period', l.period,"
	    "  'period_start', CASE WHEN pg_catalog.isfinite(l.period_start) THEN l.period_start END,"
	    "  'total_limit', l.total_limit, 'current_usage', l.current_usage,"
	    "  'reserved', l.reserved, 'available', l.available)::pg_catalog.text"
	    " FROM goldenarch.budget_limits AS l"
	    " WHERE (l.tenant, l.budget) OPERATOR(pg_catalog.>) ($1, $2)"
	    " ORDER BY l.tenant, l.budget LIMIT $3",
	    TEXTOID, TEXTOID, INT8OID);
	Mirror *mirror = arg;
	GaRows rows =
	    ga_query(&find, ga_text(mirror->tenant), ga_text(mirror->budget), ga_int8(PAGE_ROWS));
	MemoryContext before = MemoryContextSwitchTo(mirror->page);
	TimestampTz now = ga_now();
	uint64 i;

	mirror->rows = (int) rows.count;
	mirror->nentries = 0;
	for (i = 0; i < rows.count; i++)
	{
		strlcpy(mirror->tenant, ga_row_text_present(&rows, i, 1), sizeof(mirror->tenant));
		strlcpy(mirror->budget, ga_row_text_present(&rows, i, 2), sizeof(mirror->budget));
		consider(mirror, ga_row_text_present(&rows, i, 3), now);
	}
	MemoryContextSwitchTo(before);
}

static bool
send_page(Mirror *mirror)
{
	char error[GA_REDIS_ERROR_BYTES];
	int i;

	if (mirror->nentries == 0)
		return true;
	if (!ga_redis_set(mirror->redis, mirror->entries, mirror->nentries, TTL_MS, error))
	{
		lose(mirror, error);
		return false;
	}
	for (i = 0; i < mirror->nentries; i++)
	{
		bool found;
		Sent *sent = hash_search(mirror->sent, &mirror->news[i].key, HASH_ENTER, &found);

		*sent = mirror->news[i];
	}
	return true;
}

/* Every budget once. Only committed rows are read, and no transaction is open while they go out. */
static void
pass(Mirror *mirror)
{
	int64 begun = ga_monotonic_ns();
	bool ok = true;

	mirror->tenant[0] = mirror->budget[0] = '\0';
	mirror->rows = PAGE_ROWS;
	while (ok && mirror->rows == PAGE_ROWS)
	{
		MemoryContextReset(mirror->page);
		ok = ga_worker_transaction("reading budgets", read_page, mirror) && send_page(mirror);
	}
	mirror->next_pass =
	    ga_monotonic_ns() + Max(PAUSE_MIN_MS * MS_NS, (ga_monotonic_ns() - begun) * PAUSE_FACTOR);
}

static void
check(Mirror *mirror)
{
	char error[GA_REDIS_ERROR_BYTES];

	if (!ga_redis_ping(mirror->redis, error))
		lose(mirror, error);
}

/* Another address, or none: the connection goes. */
static bool
address_is_set(Mirror *mirror)
{
	const char *url = ga_guc_redis_url ? ga_guc_redis_url : "";

	if (!mirror->url || strcmp(mirror->url, url) != 0)
	{
		if (mirror->redis)
			ga_redis_close(mirror->redis);
		mirror->redis = NULL;
		mirror->url = MemoryContextStrdup(TopMemoryContext, url);
		ga_bridge_report_link(GA_PEER_REDIS, *url ? GA_LINK_CONNECTING : GA_LINK_OFF, "", NULL);
	}
	return *url != '\0';
}

void
ga_bridge_mirror_run(void)
{
	static Mirror mirror;
	int64 idle_pass = 0;
	bool dirty = true;

	mirror.page =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch mirror page", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		int64 now = ga_monotonic_ns();
		long wait_ms = PING_MS;

		if (!address_is_set(&mirror))
			wait_ms = IDLE_PASS_MS;
		else if (!mirror.redis && !connect_redis(&mirror))
			wait_ms =
			    (long) ga_backoff_ceiling(mirror.failures, RECONNECT_BASE_MS, RECONNECT_CAP_MS);
		else if (now < mirror.next_pass && dirty)
			wait_ms = (long) ((mirror.next_pass - now) / MS_NS + 1);
		else if (dirty || mirror.next_pass == 0 || now >= idle_pass)
		{
			pass(&mirror);
			idle_pass = ga_monotonic_ns() + IDLE_PASS_MS * MS_NS;
			dirty = false;
		}
		else
			check(&mirror);
		if (ga_link_wait_fd(-1, wait_ms))
			dirty = true;
	}
}
