/* SPDX-License-Identifier: PostgreSQL */
/*
 * Public keys of the audit tree's heads: a row each, and an audit row when one comes or goes, so
 * that the tree itself tells which keys are its own. The key file and what is secret in it is the
 * sealer's alone; the order of the keys is that of the last head's signatures.
 */
#include "goldenarch/seal.h"

#include "utils/builtins.h"

#include "append_only.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "note.h"

static char *
format_vkey(const GaSealTree *tree, const uint8 public_key[GA_HASH_BYTES])
{
	GaNoteKey key;
	char *text = palloc(GA_VKEY_MAX_BYTES);

	strlcpy(key.name, tree->origin, sizeof(key.name));
	memcpy(key.key, public_key, sizeof(key.key));
	if (!ga_vkey_format(&key, text, GA_VKEY_MAX_BYTES))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
		                errmsg("\"%s\" is no name of a key", tree->origin)));
	return text;
}

bool
ga_seal_has_keys(const GaSealTree *tree)
{
	static GaStmt find = GA_STMT("SELECT 1 FROM goldenarch.audit_keys k WHERE k.incarnation "
	                             "OPERATOR(pg_catalog.=) $1 LIMIT 1",
	                             INT4OID);

	return ga_query(&find, ga_int4(tree->incarnation)).count > 0;
}

/* A key that is used now and was not a moment ago. */
static void
key_came(const GaSealTree *tree, const uint8 public_key[GA_HASH_BYTES])
{
	static GaStmt find = GA_STMT(
	    "SELECT (k.retired_at IS NULL)::pg_catalog.bool FROM goldenarch.audit_keys k WHERE "
	    "k.incarnation OPERATOR(pg_catalog.=) $1 AND k.public_key OPERATOR(pg_catalog.=) $2",
	    INT4OID, BYTEAOID);
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.audit_keys (incarnation, public_key, vkey, added_at) "
	            "VALUES ($1, $2, $3, $4)",
	            INT4OID, BYTEAOID, TEXTOID, TIMESTAMPTZOID);
	static GaStmt revive =
	    GA_STMT("UPDATE goldenarch.audit_keys SET retired_at = NULL WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1 AND public_key OPERATOR(pg_catalog.=) $2",
	            INT4OID, BYTEAOID);
	GaArg key = ga_bytea(public_key, GA_HASH_BYTES);
	GaRows rows = ga_query(&find, ga_int4(tree->incarnation), key);
	char *vkey;

	if (rows.count > 0 && ga_row_bool(&rows, 0, 1))
		return;
	vkey = format_vkey(tree, public_key);
	if (rows.count == 0)
		(void) ga_query(&insert, ga_int4(tree->incarnation), key, ga_text(vkey),
		                ga_timestamp(ga_now()));
	else
		(void) ga_query_lifted(&revive, ga_int4(tree->incarnation), key);
	(void) ga_audit("audit.key", "audit key", vkey, NULL);
}

void
ga_seal_keys(const GaSealTree *tree, const uint8 (*public_keys)[GA_HASH_BYTES], int n)
{
	static GaStmt find = GA_STMT(
	    "SELECT k.public_key::pg_catalog.bytea, k.vkey::pg_catalog.text FROM "
	    "goldenarch.audit_keys k WHERE k.incarnation OPERATOR(pg_catalog.=) $1 AND k.retired_at "
	    "IS NULL ORDER BY k.added_at, k.public_key",
	    INT4OID);
	static GaStmt retire =
	    GA_STMT("UPDATE goldenarch.audit_keys SET retired_at = $3 WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1 AND public_key OPERATOR(pg_catalog.=) $2",
	            INT4OID, BYTEAOID, TIMESTAMPTZOID);
	GaRows rows;
	uint64 row;
	int i;

	for (i = 0; i < n; i++)
		key_came(tree, public_keys[i]);
	rows = ga_query(&find, ga_int4(tree->incarnation));
	for (row = 0; row < rows.count; row++)
	{
		bytea *known = ga_row_bytea_present(&rows, row, 1);
		bool there = false;

		for (i = 0; i < n; i++)
			there |= VARSIZE(known) - VARHDRSZ == GA_HASH_BYTES &&
			         memcmp(VARDATA(known), public_keys[i], GA_HASH_BYTES) == 0;
		if (there)
			continue;
		(void) ga_query_lifted(&retire, ga_int4(tree->incarnation),
		                       ga_datum(PointerGetDatum(known), false), ga_timestamp(ga_now()));
		(void) ga_audit("audit.key_retired", "audit key", ga_row_text_present(&rows, row, 2), NULL);
	}
	ga_rows_free(&rows);
}
