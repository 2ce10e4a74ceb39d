/* SPDX-License-Identifier: PostgreSQL */
/*
 * Tiles and proofs of the audit tree, for a verifier that trusts no server: audit_tile,
 * audit_inclusion_proof, audit_consistency_proof. Nothing is written and nothing waited for.
 *
 * An inclusion proof is made for the size of the last head, whose note is given with it: a root
 * that nobody signed proves nothing. A caller with a tenant gets proofs for its own rows and
 * between heads, which are hashes of entries that each hold a salted commitment; tiles, which tell
 * how much the others do, are for those who act in no tenant.
 */
#include "goldenarch/compat.h"

#include "common/base64.h"

#include "audit_tiles.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "merkle.h"

static char *
base64(const void *bytes, size_t n)
{
	int capacity = pg_b64_enc_len((int) n);
	char *text = palloc(capacity + 1);
	int length = pg_b64_encode(bytes, (int) n, text, capacity);

	if (length < 0)
		elog(ERROR, "could not encode %zu bytes", n);
	text[length] = '\0';
	return text;
}

static void
add_hashes(GaJson *json, const uint8 (*hashes)[GA_HASH_BYTES], int n)
{
	int i;

	ga_json_begin_array_in(json, "proof");
	for (i = 0; i < n; i++)
		ga_json_text(json, NULL, base64(hashes[i], GA_HASH_BYTES));
	ga_json_end_array(json);
}

static void broken(const GaAuditTree *tree) GA_NORETURN;
static void
broken(const GaAuditTree *tree)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
	                errmsg("the audit tree \"%s\" has no such proof", tree->origin),
	                errdetail("A tile is missing, or the hashes do not add up to the root."),
	                errhint("audit_verify() says what is wrong.")));
}

static GaAuditTree *
tree_or_error(int32 incarnation)
{
	GaAuditTree *tree = ga_audit_tree(incarnation);

	if (!tree && incarnation == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("no audit row has been sealed yet"),
		                errhint("audit_seal() seals those there are.")));
	if (!tree)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("the audit log has no incarnation %d", incarnation)));
	return tree;
}

/* Argument n, 0 for null: the last. */
static int32
incarnation_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? 0 : ga_arg_int4(fcinfo, n, "incarnation", 1, PG_INT32_MAX);
}

GA_FUNCTION(ga_audit_tile);
Datum
ga_audit_tile(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaAuditTree *tree;
	uint8 *hashes = palloc(GA_TILE_BYTES);
	bytea *result = NULL;
	int32 level;
	int32 incarnation;
	int64 index;
	int width;

	ga_enter_global(&call, "audit.view");
	level = ga_arg_int4(fcinfo, 0, "level", 0, GA_TILE_LEVELS - 1);
	index = ga_arg_int8(fcinfo, 1, "index", 0, PG_INT64_MAX);
	incarnation = incarnation_arg(fcinfo, 2);
	tree = ga_audit_tree(incarnation);
	width = tree ? ga_tile_width(tree->size, level, (uint64) index) : 0;
	if (width > 0 && !ga_audit_read_tile(tree, level, (uint64) index, width, hashes))
		broken(tree);
	if (width > 0)
	{
		result = palloc(VARHDRSZ + (Size) width * GA_HASH_BYTES);
		SET_VARSIZE(result, VARHDRSZ + (Size) width * GA_HASH_BYTES);
		memcpy(VARDATA(result), hashes, (size_t) width * GA_HASH_BYTES);
	}
	ga_leave(&call);
	if (!result)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}

/* A row of the caller's tenants and the leaf that it became. */
typedef struct Sealed
{
	int32 incarnation;
	uint64 leaf_index;
	uint8 leaf[GA_HASH_BYTES]; /* of the stored bytes, not as stored */
} Sealed;

static Sealed
find_sealed(const GaCall *call, int64 id)
{
	static GaStmt find =
	    GA_READ("SELECT l.incarnation::pg_catalog.int4, l.leaf_index::pg_catalog.int8, "
	            "e.entry::pg_catalog.bytea FROM goldenarch.audit_entries e LEFT JOIN "
	            "goldenarch.audit_leaves l ON l.tenant OPERATOR(pg_catalog.=) e.tenant AND l.id "
	            "OPERATOR(pg_catalog.=) e.id WHERE e.id OPERATOR(pg_catalog.=) $1 AND e.tenant "
	            "OPERATOR(pg_catalog.>=) $2 AND e.tenant OPERATOR(pg_catalog.<=) $3",
	            INT8OID, TEXTOID, TEXTOID);
	GaRows rows = ga_query(&find, ga_int8(id), ga_text(ga_tenant_floor(call->principal)),
	                       ga_text(ga_tenant_ceiling(call->principal)));
	Sealed sealed;
	bytea *entry;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("audit row %lld does not exist", (long long) id)));
	if (ga_row_isnull(&rows, 0, 1))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("audit row %lld is not sealed yet", (long long) id),
		                errhint("Commit first; audit_seal() waits for the seal.")));
	sealed.incarnation = ga_row_int4(&rows, 0, 1);
	sealed.leaf_index = (uint64) ga_row_int8(&rows, 0, 2);
	entry = ga_row_bytea_present(&rows, 0, 3);
	if (!ga_merkle_leaf(VARDATA(entry), VARSIZE(entry) - VARHDRSZ, sealed.leaf))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash an audit entry")));
	return sealed;
}

typedef struct Head
{
	uint64 size;
	uint8 root[GA_HASH_BYTES];
	char *note;
} Head;

/* The last head of this incarnation that covers the leaf. */
static Head
covering_head(const Sealed *sealed, int64 id)
{
	static GaStmt find = GA_READ(
	    "SELECT h.size::pg_catalog.int8, h.root::pg_catalog.bytea, h.note::pg_catalog.text FROM "
	    "goldenarch.audit_heads h WHERE h.incarnation OPERATOR(pg_catalog.=) $1 AND h.size "
	    "OPERATOR(pg_catalog.>) $2 ORDER BY h.size USING OPERATOR(pg_catalog.>), h.id USING "
	    "OPERATOR(pg_catalog.>) LIMIT 1",
	    INT4OID, INT8OID);
	GaRows rows =
	    ga_query(&find, ga_int4(sealed->incarnation), ga_int8((int64) sealed->leaf_index));
	Head head;
	bytea *root;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("no head covers audit row %lld yet", (long long) id),
		                errhint("audit_checkpoint() makes one.")));
	head.size = (uint64) ga_row_int8(&rows, 0, 1);
	root = ga_row_bytea_present(&rows, 0, 2);
	head.note = ga_row_text_present(&rows, 0, 3);
	if (VARSIZE(root) - VARHDRSZ != GA_HASH_BYTES)
		elog(ERROR, "a head of the audit tree has a root of %d bytes",
		     (int) (VARSIZE(root) - VARHDRSZ));
	memcpy(head.root, VARDATA(root), GA_HASH_BYTES);
	return head;
}

GA_FUNCTION(ga_audit_inclusion_proof);
Datum
ga_audit_inclusion_proof(PG_FUNCTION_ARGS)
{
	uint8(*proof)[GA_HASH_BYTES] = palloc(GA_PROOF_MAX * GA_HASH_BYTES);
	GaCall call;
	GaAuditTree *tree;
	GaJson json;
	Jsonb *result;
	Sealed sealed;
	Head head;
	int64 id;
	int n;

	ga_enter(&call, "audit.view");
	id = ga_arg_int8(fcinfo, 0, "id", 1, PG_INT64_MAX);
	sealed = find_sealed(&call, id);
	tree = tree_or_error(sealed.incarnation);
	head = covering_head(&sealed, id);
	n = ga_inclusion_proof(sealed.leaf_index, head.size, ga_audit_read_tile, tree, proof);
	if (n < 0 || !ga_inclusion_holds(sealed.leaf_index, head.size, sealed.leaf, head.root,
	                                 (const uint8(*)[GA_HASH_BYTES]) proof, n))
		broken(tree);
	ga_json_begin_object(&json);
	ga_json_text(&json, "origin", tree->origin);
	ga_json_int8(&json, "id", id);
	ga_json_int8(&json, "incarnation", tree->incarnation);
	ga_json_int8(&json, "leaf_index", (int64) sealed.leaf_index);
	ga_json_int8(&json, "tree_size", (int64) head.size);
	ga_json_text(&json, "leaf_hash", base64(sealed.leaf, GA_HASH_BYTES));
	ga_json_text(&json, "root_hash", base64(head.root, GA_HASH_BYTES));
	add_hashes(&json, (const uint8(*)[GA_HASH_BYTES]) proof, n);
	ga_json_text(&json, "checkpoint", head.note);
	result = ga_json_end(&json);
	ga_leave(&call);
	PG_RETURN_JSONB_P(result);
}

GA_FUNCTION(ga_audit_consistency_proof);
Datum
ga_audit_consistency_proof(PG_FUNCTION_ARGS)
{
	uint8(*proof)[GA_HASH_BYTES] = palloc(GA_PROOF_MAX * GA_HASH_BYTES);
	uint8 old_root[GA_HASH_BYTES];
	uint8 new_root[GA_HASH_BYTES];
	GaCall call;
	GaAuditTree *tree;
	GaJson json;
	Jsonb *result;
	int64 old_size;
	int64 new_size;
	int n;

	ga_enter(&call, "audit.view");
	old_size = ga_arg_int8(fcinfo, 0, "old_size", 0, PG_INT64_MAX);
	new_size = ga_arg_int8(fcinfo, 1, "new_size", 0, PG_INT64_MAX);
	tree = tree_or_error(incarnation_arg(fcinfo, 2));
	if (old_size > new_size)
		ga_bad_argument("old_size", "It must not be greater than new_size.");
	if ((uint64) new_size > tree->size)
		ga_bad_argument("new_size", psprintf("The tree has " UINT64_FORMAT " leaves.", tree->size));
	if (old_size > 0 && (uint64) old_size < tree->minimum_index)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("what a proof from %lld leaves needs was pruned", (long long) old_size),
		         errdetail("The tree \"%s\" begins at leaf " UINT64_FORMAT ".", tree->origin,
		                   tree->minimum_index)));
	n = ga_consistency_proof((uint64) old_size, (uint64) new_size, ga_audit_read_tile, tree, proof);
	if (n < 0 || !ga_tile_root((uint64) old_size, ga_audit_read_tile, tree, old_root) ||
	    !ga_tile_root((uint64) new_size, ga_audit_read_tile, tree, new_root) ||
	    !ga_consistency_holds((uint64) old_size, (uint64) new_size, old_root, new_root,
	                          (const uint8(*)[GA_HASH_BYTES]) proof, n))
		broken(tree);
	ga_json_begin_object(&json);
	ga_json_text(&json, "origin", tree->origin);
	ga_json_int8(&json, "old_size", old_size);
	ga_json_int8(&json, "new_size", new_size);
	ga_json_text(&json, "old_root_hash", base64(old_root, GA_HASH_BYTES));
	ga_json_text(&json, "new_root_hash", base64(new_root, GA_HASH_BYTES));
	add_hashes(&json, (const uint8(*)[GA_HASH_BYTES]) proof, n);
	result = ga_json_end(&json);
	ga_leave(&call);
	PG_RETURN_JSONB_P(result);
}
