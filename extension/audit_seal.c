/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_seal(), audit_checkpoint(), audit_public_key(): the tree's head as callers ask for it.
 * audit_seal runs one pass of the sealer in a process of its own, with and without preloading: what
 * committed before the call is a leaf, and a head covers it, when that process has committed.
 */
#include "goldenarch/seal.h"

#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "audit_tiles.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/oneshot.h"
#include "goldenarch/query.h"
#include "goldenarch/shmem.h"
#include "audit_seal.h"
#include "note.h"

bool
ga_seal_root(const GaSealTree *tree, int64 size, uint8 out[GA_HASH_BYTES])
{
	GaAuditTree *stored = ga_audit_tree(tree->incarnation);

	return stored && ga_tile_root((uint64) size, ga_audit_read_tile, stored, out);
}

static bool
seal_now(void)
{
	const bool nothing = true;

	return ga_one_shot("ga_seal_once_main", GA_ONE_SHOT_SEAL, &nothing, sizeof(nothing),
	                   TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ga_guc_audit_wait));
}

int64
ga_seal_job(void)
{
	/* Where the sealer may run by itself it does. */
	if (ga_preloaded())
		return 0;
	return seal_now() ? 1 : 0;
}

/* As it is now, whatever snapshot the caller's transaction has. */
static void
read_size(int64 *size, char **stopped)
{
	static GaStmt find =
	    GA_READ("SELECT t.size::pg_catalog.int8, t.stopped::pg_catalog.text FROM "
	            "goldenarch.audit_trees t ORDER BY t.incarnation USING OPERATOR(pg_catalog.>) "
	            "LIMIT 1");
	GaRows rows;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = ga_query(&find);
	*size = rows.count > 0 ? ga_row_int8(&rows, 0, 1) : 0;
	*stopped = rows.count > 0 ? ga_row_text(&rows, 0, 2) : NULL;
	PopActiveSnapshot();
}

GA_FUNCTION(ga_audit_seal);
Datum
ga_audit_seal(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *stopped;
	int64 size;
	bool sealed;

	(void) fcinfo;
	ga_enter(&call, "audit.view");
	ga_require_writable("audit_seal()");
	sealed = seal_now();
	read_size(&size, &stopped);
	if (!sealed)
		ereport(ERROR,
		        (errcode(GA_ERR_AUDIT_UNAVAILABLE),
		         errmsg("the audit log could not be sealed within goldenarch.audit_wait (%d ms)",
		                ga_guc_audit_wait),
		         stopped ? errdetail("Sealing has stopped: %s.", stopped) : 0,
		         errhint("Look at goldenarch.audit_status(), max_worker_processes and the server "
		                 "log. What was written is in the log and is sealed later.")));
	ga_leave(&call);
	PG_RETURN_INT64(size);
}

GA_FUNCTION(ga_audit_checkpoint);
Datum
ga_audit_checkpoint(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_READ(
	    "SELECT t.origin::pg_catalog.text, h.size::pg_catalog.int8, h.root::pg_catalog.bytea, "
	    "h.signed_at::pg_catalog.timestamptz, h.note::pg_catalog.text FROM "
	    "goldenarch.audit_heads h JOIN goldenarch.audit_trees t ON t.incarnation "
	    "OPERATOR(pg_catalog.=) h.incarnation ORDER BY h.id USING OPERATOR(pg_catalog.>) LIMIT 1");
	GaCall call;
	GaRows rows;
	Datum values[5] = {0};
	bool nulls[5] = {false};

	ga_enter(&call, "audit.view");
	rows = ga_query(&find);
	if (rows.count > 0)
	{
		values[0] = ga_row_datum(&rows, 0, 1, TEXTOID, &nulls[0]);
		values[1] = ga_row_datum(&rows, 0, 2, INT8OID, &nulls[1]);
		values[2] = ga_row_datum(&rows, 0, 3, BYTEAOID, &nulls[2]);
		values[3] = ga_row_datum(&rows, 0, 4, TIMESTAMPTZOID, &nulls[3]);
		values[4] = ga_row_datum(&rows, 0, 5, TEXTOID, &nulls[4]);
	}
	ga_leave(&call);
	if (rows.count == 0)
		PG_RETURN_NULL();
	return ga_return_record(fcinfo, values, nulls, lengthof(values));
}

/* Where the key of this verifier key stands in a note's signatures; the note's end if nowhere. */
static int
position_in(const char *note, const char *vkey)
{
	GaCheckpoint head;
	GaNoteKey key;
	int i;

	if (!note || !ga_checkpoint_parse(note, strlen(note), &head) ||
	    !ga_vkey_parse(vkey, strlen(vkey), &key))
		return GA_NOTE_SIGNATURES_MAX;
	for (i = 0; i < head.nsignatures; i++)
	{
		GaCheckpoint alone = head;

		alone.nsignatures = 1;
		alone.signatures[0] = head.signatures[i];
		if (ga_checkpoint_verify(&alone, &key) == GA_NOTE_GOOD)
			return i;
	}
	return GA_NOTE_SIGNATURES_MAX;
}

char *
ga_seal_public_keys(void)
{
	static GaStmt find = GA_READ(
	    "SELECT k.vkey::pg_catalog.text, (SELECT h.note FROM goldenarch.audit_heads h ORDER BY "
	    "h.id USING OPERATOR(pg_catalog.>) LIMIT 1)::pg_catalog.text FROM goldenarch.audit_keys k "
	    "WHERE k.incarnation OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(t.incarnation) FROM "
	    "goldenarch.audit_trees t) ORDER BY k.retired_at IS NOT NULL, k.added_at USING "
	    "OPERATOR(pg_catalog.>), k.public_key");
	GaRows rows = ga_query(&find);
	StringInfoData text;
	int place;
	uint64 row;

	if (rows.count == 0)
		return NULL;
	initStringInfo(&text);
	for (place = 0; place <= GA_NOTE_SIGNATURES_MAX; place++)
	{
		for (row = 0; row < rows.count; row++)
		{
			char *vkey = ga_row_text_present(&rows, row, 1);

			if (position_in(ga_row_text(&rows, row, 2), vkey) == place)
				appendStringInfo(&text, "%s%s", text.len > 0 ? "\n" : "", vkey);
		}
	}
	return text.data;
}

GA_FUNCTION(ga_audit_public_key);
Datum
ga_audit_public_key(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *keys;

	(void) fcinfo;
	ga_enter(&call, "audit.view");
	keys = ga_seal_public_keys();
	ga_leave(&call);
	if (!keys)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(keys));
}
