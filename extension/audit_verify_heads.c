/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify(), the heads: each is the root of the tree at its size, so that all of them are
 * heads of one history; each is signed by a key that the log names; the head that was anchored
 * outside is one of them; and the last is not old, since a log that grows, or a heartbeat, makes
 * new ones.
 */
#include "audit_verify.h"

#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "note.h"

#define PAGE_HEADS 256
#define KEYS_MAX 64
/* Heads come each half minute at least; anchors are looked at as often. */
#define STALE_AFTER_US (INT64CONST(120) * USECS_PER_SEC)

typedef struct Keys
{
	int n;
	GaNoteKey keys[KEYS_MAX];
	TimestampTz added_at[KEYS_MAX];
	TimestampTz retired_at[KEYS_MAX]; /* DT_NOEND: in use */
} Keys;

typedef struct Head
{
	int64 id;
	int64 size;
	bytea *root;
	TimestampTz signed_at;
	char *note;
} Head;

/* What is known from the heads before this one. */
typedef struct Walk
{
	GaAuditTree *tree;
	Keys keys;
	int64 size; /* of the head before; -1: none */
	uint8 root[GA_HASH_BYTES];
	uint64 heads;
	uint64 unsigned_heads;
	TimestampTz last_at;
	int64 longest_gap;
	TimestampTz longest_gap_from;
} Walk;

static void
load_keys(GaVerify *v, const GaAuditTree *tree, Keys *keys)
{
	static GaStmt find =
	    GA_READ("SELECT k.public_key::pg_catalog.bytea, k.vkey::pg_catalog.text, "
	            "k.added_at::pg_catalog.timestamptz, coalesce(k.retired_at, "
	            "'infinity')::pg_catalog.timestamptz FROM goldenarch.audit_keys k WHERE "
	            "k.incarnation OPERATOR(pg_catalog.=) $1 ORDER BY k.added_at USING "
	            "OPERATOR(pg_catalog.<), k.vkey USING OPERATOR(pg_catalog.<)",
	            INT4OID);
	GaRows rows = ga_query(&find, ga_int4(tree->incarnation));
	uint64 row;

	for (row = 0; row < rows.count && keys->n < KEYS_MAX; row++)
	{
		bytea *public_key = ga_row_bytea(&rows, row, 1);
		char *vkey = ga_row_text(&rows, row, 2);
		GaNoteKey *key = &keys->keys[keys->n];

		if (!public_key || !vkey || !ga_vkey_parse(vkey, strlen(vkey), key) ||
		    VARSIZE(public_key) - VARHDRSZ != sizeof(key->key) ||
		    memcmp(VARDATA(public_key), key->key, sizeof(key->key)) != 0 ||
		    strcmp(key->name, tree->origin) != 0)
		{
			ga_verify_bad(v, GA_VERIFY_SIGNATURES, 0, "A key of \"%s\" is not what its name says.",
			              tree->origin);
			continue;
		}
		keys->added_at[keys->n] = ga_row_timestamp(&rows, row, 3);
		keys->retired_at[keys->n++] = ga_row_timestamp(&rows, row, 4);
	}
	ga_rows_free(&rows);
}

/* A leaf that the head covers and the one before it did not, to name where it begins to differ. */
static int64
first_new_id(const Walk *walk)
{
	return ga_verify_id_of(walk->tree, walk->size > 0 ? (uint64) walk->size : 0);
}

static void
check_against_tree(GaVerify *v, const Walk *walk, const Head *head)
{
	const GaAuditTree *tree = walk->tree;
	uint8 root[GA_HASH_BYTES];

	if (head->size < walk->size)
		ga_verify_bad(v, GA_VERIFY_HEADS, ga_verify_id_of(tree, (uint64) head->size),
		              "Head %lld is of a smaller tree than the one before it.",
		              (long long) head->id);
	if ((uint64) head->size > tree->size)
	{
		ga_verify_bad(v, GA_VERIFY_HEADS, 0,
		              "Truncated: head %lld is of %lld leaves, \"%s\" has " UINT64_FORMAT ".",
		              (long long) head->id, (long long) head->size, tree->origin, tree->size);
		return;
	}
	if (head->size == walk->size)
		memcpy(root, walk->root, GA_HASH_BYTES);
	else if (!ga_tile_root((uint64) head->size, ga_audit_read_tile, walk->tree, root))
	{
		if ((uint64) head->size >= tree->minimum_index)
			ga_verify_bad(v, GA_VERIFY_HEADS, 0,
			              "The tree has no root of its first %lld leaves (head %lld).",
			              (long long) head->size, (long long) head->id);
		return;
	}
	if (memcmp(root, VARDATA(head->root), GA_HASH_BYTES) != 0)
		ga_verify_bad(v, GA_VERIFY_HEADS, first_new_id(walk),
		              "Fork: head %lld is of another tree of %lld leaves.", (long long) head->id,
		              (long long) head->size);
}

/* The note says what the columns say, and a known key signed it, at the time that the row tells. */
static void
check_note(GaVerify *v, Walk *walk, const Head *head)
{
	GaCheckpoint *note = palloc(sizeof(GaCheckpoint));
	bool expected = false;
	bool good = false;
	bool bad = false;
	int i;

	if (!head->note || !ga_checkpoint_parse(head->note, strlen(head->note), note) ||
	    strcmp(note->origin, walk->tree->origin) != 0 || note->size != (uint64) head->size ||
	    memcmp(note->root, VARDATA(head->root), GA_HASH_BYTES) != 0)
	{
		ga_verify_bad(v, GA_VERIFY_HEADS, 0,
		              "The note of head %lld does not say what the row says.",
		              (long long) head->id);
		return;
	}
	for (i = 0; i < walk->keys.n; i++)
	{
		GaNoteVerdict verdict = ga_checkpoint_verify(note, &walk->keys.keys[i]);
		int64 unix_seconds;

		expected = expected || (walk->keys.added_at[i] <= head->signed_at &&
		                        walk->keys.retired_at[i] > head->signed_at);
		bad = bad || verdict == GA_NOTE_BAD_SIGNATURE;
		if (verdict != GA_NOTE_GOOD)
			continue;
		good = true;
		if (ga_checkpoint_time(note, &walk->keys.keys[i], &unix_seconds) != GA_NOTE_GOOD ||
		    time_t_to_timestamptz((pg_time_t) unix_seconds) / USECS_PER_SEC !=
		        head->signed_at / USECS_PER_SEC)
			ga_verify_bad(v, GA_VERIFY_SIGNATURES, 0,
			              "Head %lld was not cosigned at the time that its row tells.",
			              (long long) head->id);
	}
	if (bad || (!good && note->nsignatures > 0))
		ga_verify_bad(v, GA_VERIFY_SIGNATURES, 0, "Head %lld has no good signature by a known key.",
		              (long long) head->id);
	else if (!good && expected)
		ga_verify_bad(v, GA_VERIFY_SIGNATURES, 0, "Head %lld is unsigned, though there was a key.",
		              (long long) head->id);
	else if (!good)
		walk->unsigned_heads++;
}

static void
check_head(GaVerify *v, Walk *walk, const Head *head)
{
	if (!head->root || VARSIZE(head->root) - VARHDRSZ != GA_HASH_BYTES || head->size < 0)
	{
		ga_verify_bad(v, GA_VERIFY_HEADS, 0, "Head %lld is none.", (long long) head->id);
		return;
	}
	check_against_tree(v, walk, head);
	check_note(v, walk, head);
	if (walk->heads > 0 && head->signed_at - walk->last_at > walk->longest_gap)
	{
		walk->longest_gap = head->signed_at - walk->last_at;
		walk->longest_gap_from = walk->last_at;
	}
	walk->heads++;
	walk->size = head->size;
	walk->last_at = head->signed_at;
	memcpy(walk->root, VARDATA(head->root), GA_HASH_BYTES);
}

static void
check_heads_of(GaVerify *v, Walk *walk)
{
	static GaStmt page = GA_READ(
	    "SELECT h.id::pg_catalog.int8, h.size::pg_catalog.int8, h.root::pg_catalog.bytea, "
	    "h.signed_at::pg_catalog.timestamptz, h.note::pg_catalog.text FROM goldenarch.audit_heads "
	    "h "
	    "WHERE h.incarnation OPERATOR(pg_catalog.=) $1 AND h.id OPERATOR(pg_catalog.>) $2 ORDER BY "
	    "h.id USING OPERATOR(pg_catalog.<) LIMIT $3",
	    INT4OID, INT8OID, INT8OID);
	int64 after = PG_INT64_MIN;
	uint64 count;

	do
	{
		GaRows rows =
		    ga_query(&page, ga_int4(walk->tree->incarnation), ga_int8(after), ga_int8(PAGE_HEADS));
		uint64 row;

		count = rows.count;
		for (row = 0; row < count; row++)
		{
			Head head;

			ga_verify_page_begin(v);
			head.id = ga_row_int8(&rows, row, 1);
			head.size = ga_row_int8(&rows, row, 2);
			head.root = ga_row_bytea(&rows, row, 3);
			head.signed_at = ga_row_timestamp(&rows, row, 4);
			head.note = ga_row_text(&rows, row, 5);
			check_head(v, walk, &head);
			after = head.id;
			ga_verify_page_end(v);
			ga_verify_progress(v, "heads", walk->heads);
		}
		ga_rows_free(&rows);
	} while (count == PAGE_HEADS);
}

/* The last head that the stream of heads was seen to hold: a copy of it, in the database. */
static void
check_anchors(GaVerify *v)
{
	static GaStmt find =
	    GA_READ("SELECT a.origin::pg_catalog.text, a.size::pg_catalog.int8, "
	            "a.root::pg_catalog.bytea, a.checked_at::pg_catalog.timestamptz FROM "
	            "goldenarch.audit_anchors a ORDER BY a.origin USING OPERATOR(pg_catalog.<)");
	GaRows rows = ga_query(&find);
	TimestampTz checked_at = DT_NOBEGIN;
	uint64 row;
	int n;

	for (row = 0; row < rows.count; row++)
	{
		char *origin = ga_row_text_present(&rows, row, 1);
		int64 size = ga_row_int8(&rows, row, 2);
		bytea *anchored = ga_row_bytea_present(&rows, row, 3);
		GaAuditTree *tree = NULL;
		uint8 root[GA_HASH_BYTES];

		for (n = 0; n < v->ntrees; n++)
			if (strcmp(v->trees[n]->origin, origin) == 0)
				tree = v->trees[n];
		if (!tree)
			ga_verify_bad(v, GA_VERIFY_ANCHORS, 0, "There is no tree \"%s\", which was anchored.",
			              origin);
		else if (size < 0 || (uint64) size > tree->size)
			ga_verify_bad(v, GA_VERIFY_ANCHORS, 0,
			              "Truncated: %lld leaves of \"%s\" were anchored, it has " UINT64_FORMAT
			              ".",
			              (long long) size, origin, tree->size);
		else if (!ga_tile_root((uint64) size, ga_audit_read_tile, tree, root))
		{
			if ((uint64) size >= tree->minimum_index)
				ga_verify_bad(v, GA_VERIFY_ANCHORS, 0,
				              "\"%s\" has no root of its first %lld leaves.", origin,
				              (long long) size);
		}
		else if (VARSIZE(anchored) - VARHDRSZ != GA_HASH_BYTES ||
		         memcmp(VARDATA(anchored), root, GA_HASH_BYTES) != 0)
			ga_verify_bad(v, GA_VERIFY_ANCHORS, 0,
			              "Fork: another tree \"%s\" of %lld leaves was anchored.", origin,
			              (long long) size);
		checked_at = Max(checked_at, ga_row_timestamp(&rows, row, 4));
	}
	ga_verify_good(v, GA_VERIFY_ANCHORS, UINT64_FORMAT " anchored heads are heads of these trees.",
	               rows.count);
	if (rows.count == 0)
		ga_verify_good(v, GA_VERIFY_FRESH_ANCHOR, "No head is anchored outside.");
	else if (ga_now() - checked_at > STALE_AFTER_US)
		ga_verify_bad(v, GA_VERIFY_FRESH_ANCHOR, 0, "The anchor was last looked at %lld s ago.",
		              (long long) ((ga_now() - checked_at) / USECS_PER_SEC));
	else
		ga_verify_good(v, GA_VERIFY_FRESH_ANCHOR, "The anchor was looked at within two minutes.");
}

static void
check_freshness(GaVerify *v, const Walk *last)
{
	static GaStmt oldest = GA_READ(
	    "SELECT coalesce(pg_catalog.min(e.at), 'infinity')::pg_catalog.timestamptz, "
	    "coalesce(pg_catalog.min(e.id), 0)::pg_catalog.int8 FROM goldenarch.audit_entries e");
	GaRows rows;
	TimestampTz since;
	int64 id = 0;

	if (last && last->tree->fork)
		ga_verify_bad(v, GA_VERIFY_FRESH_HEAD, 0, "Fork: nothing is signed, since %s.",
		              last->tree->fork);
	if (last && last->tree->stopped)
		ga_verify_bad(v, GA_VERIFY_FRESH_HEAD, 0, "Nothing is sealed: %s.", last->tree->stopped);
	if (last && last->heads > 0)
		since = last->last_at;
	else
	{
		rows = ga_query_once(&oldest);
		since = ga_row_timestamp(&rows, 0, 1);
		id = ga_row_int8(&rows, 0, 2);
		ga_rows_free(&rows);
	}
	if (!TIMESTAMP_NOT_FINITE(since) && ga_now() - since > STALE_AFTER_US)
		ga_verify_bad(v, GA_VERIFY_FRESH_HEAD, id, "Stale: no head was made for %lld s.",
		              (long long) ((ga_now() - since) / USECS_PER_SEC));
	else if (last && last->longest_gap > STALE_AFTER_US)
		ga_verify_good(v, GA_VERIFY_FRESH_HEAD,
		               "The longest time without a head: %lld s from %s on.",
		               (long long) (last->longest_gap / USECS_PER_SEC),
		               timestamptz_to_str(last->longest_gap_from));
	else
		ga_verify_good(v, GA_VERIFY_FRESH_HEAD, "Heads come without a gap.");
}

void
ga_verify_heads(GaVerify *v)
{
	Walk *walk = NULL;
	uint64 heads = 0;
	uint64 unsigned_heads = 0;
	int n;

	for (n = 0; n < v->ntrees; n++)
	{
		walk = palloc0(sizeof(Walk));
		walk->tree = v->trees[n];
		walk->size = -1;
		load_keys(v, walk->tree, &walk->keys);
		check_heads_of(v, walk);
		heads += walk->heads;
		unsigned_heads += walk->unsigned_heads;
	}
	ga_verify_good(v, GA_VERIFY_HEADS, UINT64_FORMAT " heads of one history.", heads);
	if (unsigned_heads > 0)
		ga_verify_good(v, GA_VERIFY_SIGNATURES, UINT64_FORMAT " heads were made without a key.",
		               unsigned_heads);
	else
		ga_verify_good(v, GA_VERIFY_SIGNATURES,
		               "Every head is signed by a key that the log names.");
	check_anchors(v);
	check_freshness(v, walk);
}
