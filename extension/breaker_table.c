/* SPDX-License-Identifier: PostgreSQL */
/*
 * The shared table of circuit breakers. State changes at once and is never rolled back.
 *
 * One LWLock over the whole table, held for a scan of names and some arithmetic; nothing else is
 * acquired under it and nothing throws. Used entries stand before free ones. A crash of the server
 * makes the table anew; what was open is taken up from goldenarch.breaker_states.
 */
#include "breaker_table.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lwlock.h"

#include "goldenarch/breaker.h"
#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "goldenarch/metrics.h"
#include "goldenarch/shmem.h"

typedef struct Breakers
{
	LWLock lock;
	GaBreakerEntry entries[FLEXIBLE_ARRAY_MEMBER];
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
	return add_size(offsetof(Breakers, entries),
	                mul_size(sizeof(GaBreakerEntry), ga_guc_max_breakers));
}

void
ga_breaker_shmem_init(void *part)
{
	LWLockInitialize(&((Breakers *) part)->lock, ga_lwlock_tranche());
}

void
ga_breaker_remember(const char *name, int64 generation)
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
int64
ga_breaker_recall(const char *name)
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
static GaBreakerEntry *
find_entry(const char *name, bool create)
{
	Breakers *breakers = ga_breaker_shared;
	uint32 hash = DatumGetUInt32(hash_any((const unsigned char *) name, (int) strlen(name)));
	int i;

	for (i = 0; i < ga_guc_max_breakers; i++)
	{
		GaBreakerEntry *entry = &breakers->entries[i];

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
take_up(GaBreakerEntry *entry, const GaBreakerSaved *saved)
{
	TimestampTz now = ga_now();
	int64 left_us = saved->open_until <= now ? 0 : saved->open_until - now;

	ga_breaker_reopen(&entry->breaker,
	                  ga_monotonic_ns() + Min(left_us, GA_BREAKER_LONGEST_US) * 1000,
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
static GaBreakerEntry *
lock_entry(const char *name, const GaBreakerSettings *settings, const GaBreakerSaved *saved)
{
	Breakers *breakers = ga_breaker_shared;
	GaBreakerEntry *entry;

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

bool
ga_breaker_known(const char *name)
{
	Breakers *breakers = ga_breaker_shared;
	bool found;

	LWLockAcquire(&breakers->lock, LW_SHARED);
	found = find_entry(name, false) != NULL;
	LWLockRelease(&breakers->lock);
	return found;
}

bool
ga_breaker_enter(GaBreakerUse *use)
{
	Breakers *breakers = ga_breaker_shared;
	GaBreakerEntry *entry = lock_entry(use->name, &use->settings, &use->saved);
	int64 now = ga_monotonic_ns();
	bool allowed = ga_breaker_admit(&entry->breaker, &entry->settings, now);

	use->generation = entry->breaker.generation;
	use->retry_ns = allowed ? 0 : ga_breaker_retry_after_ns(&entry->breaker, &entry->settings, now);
	LWLockRelease(&breakers->lock);
	if (!allowed)
		ga_count(GA_COUNT_BREAKER_REFUSED);
	return allowed;
}

GaBreakerState
ga_breaker_finish(const GaBreakerUse *use, bool ok, int64 took_ns)
{
	Breakers *breakers = ga_breaker_shared;
	GaBreakerEntry *entry = lock_entry(use->name, &use->settings, &use->saved);
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

bool
ga_breaker_try(const char *name)
{
	Breakers *breakers = ga_breaker_shared;
	GaBreakerEntry *entry;
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
		ga_breaker_remember(name, generation);
	else
		ga_count(GA_COUNT_BREAKER_REFUSED);
	return allowed;
}

void
ga_breaker_report(const char *name, bool ok, const char *error)
{
	Breakers *breakers = ga_breaker_shared;
	int64 generation = ga_breaker_recall(name);
	bool opened = false;
	GaBreakerEntry *entry;

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

static bool
close_entry(GaBreakerEntry *entry)
{
	bool was_closed = entry->breaker.state == GA_BREAKER_CLOSED;

	ga_breaker_close(&entry->breaker);
	return !was_closed;
}

int32
ga_breaker_close_named(const char *name)
{
	Breakers *breakers = ga_breaker_shared;
	int32 count = 0;
	int i;

	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	for (i = 0; i < ga_guc_max_breakers && OidIsValid(breakers->entries[i].database); i++)
	{
		GaBreakerEntry *entry = &breakers->entries[i];

		if (entry->database == MyDatabaseId && (!name || strcmp(entry->name, name) == 0) &&
		    close_entry(entry))
			count++;
	}
	LWLockRelease(&breakers->lock);
	return count;
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
GaBreakerEntry *
ga_breaker_copy(int *count)
{
	Breakers *breakers = ga_breaker_shared;
	GaBreakerEntry *copies;
	int n;
	int i;

	*count = 0;
	copies = MemoryContextAllocHuge(CurrentMemoryContext,
	                                mul_size(sizeof(GaBreakerEntry), ga_guc_max_breakers));
	LWLockAcquire(&breakers->lock, LW_SHARED);
	n = entries_used(breakers);
	for (i = 0; i < n; i++)
		if (breakers->entries[i].database == MyDatabaseId)
			copies[(*count)++] = breakers->entries[i];
	LWLockRelease(&breakers->lock);
	return copies;
}

void
ga_breaker_set(const char *name, const GaBreakerSettings *settings)
{
	Breakers *breakers = ga_breaker_shared;
	GaBreakerEntry *entry;

	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	entry = find_entry(name, false);
	if (entry)
		entry->settings = *settings;
	LWLockRelease(&breakers->lock);
}

void
ga_breaker_restore(const char *name, const GaBreakerSaved *saved)
{
	(void) lock_entry(name, &ga_breaker_defaults, saved);
	LWLockRelease(&((Breakers *) ga_breaker_shared)->lock);
}

int
ga_breaker_count(void)
{
	Breakers *breakers = ga_breaker_shared;
	int n;

	LWLockAcquire(&breakers->lock, LW_SHARED);
	n = entries_used(breakers);
	LWLockRelease(&breakers->lock);
	return n;
}

int64
ga_breaker_keep(const Oid *databases, int n)
{
	Breakers *breakers = ga_breaker_shared;
	int64 dropped = 0;
	int used;
	int i;

	LWLockAcquire(&breakers->lock, LW_EXCLUSIVE);
	used = entries_used(breakers);
	for (i = used - 1; i >= 0; i--)
	{
		int j;

		for (j = 0; j < n && databases[j] != breakers->entries[i].database; j++)
			;
		if (j < n)
			continue;
		breakers->entries[i] = breakers->entries[--used];
		memset(&breakers->entries[used], 0, sizeof(GaBreakerEntry));
		dropped++;
	}
	LWLockRelease(&breakers->lock);
	return dropped;
}
