/* SPDX-License-Identifier: PostgreSQL */
/*
 * The upkeep of circuit breakers, a job of maintenance: open circuits are written down, so that a
 * restart closes none; settings reach the entries that our own workers use without a transaction;
 * entries of dropped databases go.
 */
#include "breaker_table.h"

#include "goldenarch/clock.h"
#include "goldenarch/guc.h"

static void
load_settings(void)
{
	static GaStmt all = GA_READ("SELECT s.name::pg_catalog.text, " GA_BREAKER_SETTINGS_COLUMNS
	                            " FROM goldenarch.breaker_settings s");
	GaRows rows = ga_query(&all);

	for (uint64 row = 0; row < rows.count; row++)
	{
		char *name = ga_row_text_present(&rows, row, 1);
		GaBreakerSettings settings = ga_breaker_settings_of_row(&rows, row, 2);

		ga_breaker_set(name, &settings);
	}
}

/* Rows of circuits that are open no longer go; those nobody knows since the restart open again. */
static int64
reconcile_saved(const GaBreakerEntry *entries, int count)
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
		char *name = ga_row_text_present(&rows, row, 1);
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
			ga_breaker_restore(name, &saved);
	}
	return changed;
}

/* Entries of databases that are gone make room, once the table is half full. */
static int64
drop_orphans(void)
{
	static GaStmt all = GA_STMT("SELECT d.oid::pg_catalog.int8 FROM pg_catalog.pg_database d");
	GaRows rows;
	Oid *live;
	int n;

	if (ga_breaker_count() <= ga_guc_max_breakers / 2)
		return 0;
	rows = ga_query(&all);
	live = palloc(sizeof(Oid) * (rows.count + 1));
	for (n = 0; n < (int) rows.count; n++)
		live[n] = (Oid) ga_row_int8(&rows, n, 1);
	return ga_breaker_keep(live, n);
}

int64
ga_breaker_maintain(void)
{
	static GaStmt save = GA_STMT(
	    "INSERT INTO goldenarch.breaker_states AS o (name, opened_at, open_until) "
	    "VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET opened_at = $2, open_until = $3 "
	    "WHERE o.opened_at OPERATOR(pg_catalog.<>) $2",
	    TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	GaBreakerEntry *entries;
	int64 changed;
	int count;
	int i;

	if (!ga_breaker_shared)
		return 0;
	entries = ga_breaker_copy(&count);
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
