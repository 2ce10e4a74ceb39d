/* SPDX-License-Identifier: PostgreSQL */
/*
 * Retention of the audit log: what lies below an index is removed, entries, leaves, level-0 tiles
 * and heads, and the tree stays (the minimum index of C2SP): proofs of leaves at or above it, and
 * of heads that are at least as large, need none of that. The audit row that tells of it comes
 * first. Nothing above the last head that somebody else may hold is ever removed, and nothing at
 * all while there is a hold.
 *
 * Locks: audit_holds against other prunings and new holds, then the rows, the tree's row last. The
 * sealer is not kept waiting but for that row, until the caller commits.
 */
#include "goldenarch/seal.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "append_only.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "tile.h"

#define REASON_MAX_BYTES 1000
#define NAME_MAX_BYTES 128
#define BATCH_LEAVES 10000

/* Under a snapshot taken after the lock: a hold that committed just before it counts. */
static void
refuse_if_held(void)
{
	static GaStmt find = GA_READ(
	    "SELECT h.name::pg_catalog.text FROM goldenarch.audit_holds h ORDER BY h.name LIMIT 1");
	GaRows rows;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = ga_query(&find);
	PopActiveSnapshot();
	if (rows.count > 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
		                errmsg("the audit log is held by \"%s\"", ga_row_text_present(&rows, 0, 1)),
		                errhint("goldenarch.drop_audit_hold() ends a hold.")));
}

/* The size of the last head that is known outside: anchored, or where nothing ever was, signed. */
static int64
provable_size(const GaSealTree *tree)
{
	static GaStmt anchored =
	    GA_STMT("SELECT a.size::pg_catalog.int8 FROM goldenarch.audit_anchors a WHERE a.origin "
	            "OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	static GaStmt is_signed = GA_STMT(
	    "SELECT h.size::pg_catalog.int8 FROM goldenarch.audit_heads h WHERE h.incarnation "
	    "OPERATOR(pg_catalog.=) $1 AND pg_catalog.strpos(h.note, E'\\n\\n') OPERATOR(pg_catalog.+) "
	    "1 OPERATOR(pg_catalog.<) pg_catalog.length(h.note) ORDER BY h.id USING "
	    "OPERATOR(pg_catalog.>) LIMIT 1",
	    INT4OID);
	GaRows rows = ga_query(&anchored, ga_text(tree->origin));

	if (rows.count == 0 && ga_guc_nats_url[0] == '\0')
		rows = ga_query(&is_signed, ga_int4(tree->incarnation));
	return rows.count > 0 ? ga_row_int8(&rows, 0, 1) : 0;
}

/* What bundles and tiles of 256 leaves serve below this index, and a reader may still ask for. */
static int64
whole_tiles(int64 index)
{
	return index - index % GA_TILE_WIDTH;
}

/*
 * Entries and leaves of one tree from `from` up to `to`, and what else lies below its new minimum
 * index; the links between the trees stay. The number of entries.
 */
static int64
remove_leaves(int32 incarnation, int64 from, int64 to, int64 minimum_index)
{
	static GaStmt entries = GA_STMT(
	    "DELETE FROM goldenarch.audit_entries_rows a USING goldenarch.audit_leaves_rows l WHERE "
	    "l.incarnation OPERATOR(pg_catalog.=) $1 AND l.leaf_index OPERATOR(pg_catalog.>=) $2 AND "
	    "l.leaf_index OPERATOR(pg_catalog.<) $3 AND a.tenant OPERATOR(pg_catalog.=) l.tenant AND "
	    "a.id OPERATOR(pg_catalog.=) l.id AND NOT EXISTS (SELECT 1 FROM goldenarch.audit_trees t "
	    "WHERE t.link_id OPERATOR(pg_catalog.=) a.id)",
	    INT4OID, INT8OID, INT8OID);
	static GaStmt leaves = GA_STMT(
	    "DELETE FROM goldenarch.audit_leaves_rows l WHERE l.incarnation OPERATOR(pg_catalog.=) $1 "
	    "AND l.leaf_index OPERATOR(pg_catalog.>=) $2 AND l.leaf_index OPERATOR(pg_catalog.<) $3 "
	    "AND NOT EXISTS (SELECT 1 FROM goldenarch.audit_trees t WHERE t.link_id "
	    "OPERATOR(pg_catalog.=) l.id)",
	    INT4OID, INT8OID, INT8OID);
	static GaStmt heads = GA_STMT(
	    "DELETE FROM goldenarch.audit_heads h WHERE h.incarnation OPERATOR(pg_catalog.=) $1 AND "
	    "h.size OPERATOR(pg_catalog.<) $2 AND h.id OPERATOR(pg_catalog.<) (SELECT "
	    "pg_catalog.max(x.id) FROM goldenarch.audit_heads x WHERE x.incarnation "
	    "OPERATOR(pg_catalog.=) $1)",
	    INT4OID, INT8OID);
	static GaStmt tiles =
	    GA_STMT("DELETE FROM goldenarch.audit_tiles WHERE incarnation OPERATOR(pg_catalog.=) $1 "
	            "AND level OPERATOR(pg_catalog.=) 0 AND index OPERATOR(pg_catalog.<) $2",
	            INT4OID, INT8OID);
	static GaStmt mark = GA_STMT("UPDATE goldenarch.audit_trees SET minimum_index = $2 WHERE "
	                             "incarnation OPERATOR(pg_catalog.=) $1",
	                             INT4OID, INT8OID);
	int64 removed = 0;
	int64 at;

	for (at = from; at < to; at += BATCH_LEAVES)
	{
		int64 end = Min(at + BATCH_LEAVES, to);

		CHECK_FOR_INTERRUPTS();
		removed +=
		    (int64) ga_query_lifted(&entries, ga_int4(incarnation), ga_int8(at), ga_int8(end))
		        .count;
		(void) ga_query_lifted(&leaves, ga_int4(incarnation), ga_int8(at), ga_int8(end));
	}
	(void) ga_query_lifted(&tiles, ga_int4(incarnation), ga_int8(to / GA_TILE_WIDTH));
	(void) ga_query_lifted(&heads, ga_int4(incarnation), ga_int8(minimum_index));
	(void) ga_query(&mark, ga_int4(incarnation), ga_int8(minimum_index));
	return removed;
}

/* Every tree before this one lies wholly below any index of it. */
static int64
remove_earlier(const GaSealTree *tree)
{
	static GaStmt find = GA_STMT(
	    "SELECT t.incarnation::pg_catalog.int4, t.minimum_index::pg_catalog.int8, "
	    "t.size::pg_catalog.int8 FROM goldenarch.audit_trees t WHERE t.incarnation "
	    "OPERATOR(pg_catalog.<) $1 AND t.minimum_index OPERATOR(pg_catalog.<) t.size ORDER BY "
	    "t.incarnation",
	    INT4OID);
	GaRows rows = ga_query(&find, ga_int4(tree->incarnation));
	int64 removed = 0;
	uint64 row;

	for (row = 0; row < rows.count; row++)
		removed +=
		    remove_leaves(ga_row_int4(&rows, row, 1), whole_tiles(ga_row_int8(&rows, row, 2)),
		                  ga_row_int8(&rows, row, 3), ga_row_int8(&rows, row, 3));
	return removed;
}

static void
record(const GaSealTree *tree, int64 before_index, const char *reason)
{
	uint8 root[GA_HASH_BYTES];
	char text[2 * GA_HASH_BYTES + 1] = {0};

	if (!ga_seal_root(tree, before_index, root))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
		                errmsg("the tree has no root at " INT64_FORMAT " leaves", before_index),
		                errhint("goldenarch.audit_verify() says what is missing.")));
	(void) hex_encode((const char *) root, GA_HASH_BYTES, text);
	(void) ga_audit("audit.prune", "audit tree",
	                psprintf("%s " INT64_FORMAT " %s", tree->origin, before_index, text),
	                ga_json_pairs("reason", reason, NULL));
}

GA_FUNCTION(ga_audit_prune);
Datum
ga_audit_prune(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaSealTree tree;
	int64 before_index;
	int64 provable;
	int64 removed = 0;
	char *reason;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("audit_prune()");
	before_index = ga_arg_int8(fcinfo, 0, "before_index", 1, PG_INT64_MAX);
	reason = ga_arg_text_max(fcinfo, 1, "reason", REASON_MAX_BYTES, false);
	ga_execute("LOCK TABLE goldenarch.audit_holds IN SHARE ROW EXCLUSIVE MODE");
	refuse_if_held();
	ga_seal_tree(&tree);
	if (tree.incarnation == 0 || tree.fork)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg(tree.fork ? "the audit tree is forked" : "there is no audit tree")));
	provable = provable_size(&tree);
	if (before_index > provable)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("the audit log cannot be pruned to " INT64_FORMAT, before_index),
		                errdetail("The last head that is anchored, or signed where none ever was, "
		                          "has " INT64_FORMAT " leaves.",
		                          provable)));
	if (before_index > tree.minimum_index)
	{
		record(&tree, before_index, reason);
		removed = remove_earlier(&tree);
		removed += remove_leaves(tree.incarnation, whole_tiles(tree.minimum_index),
		                         whole_tiles(before_index), before_index);
	}
	ga_leave(&call);
	PG_RETURN_INT64(removed);
}

GA_FUNCTION(ga_set_audit_hold);
Datum
ga_set_audit_hold(PG_FUNCTION_ARGS)
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.audit_holds (name, reason, held_at) VALUES ($1, $2, $3) ON "
	            "CONFLICT (name) DO UPDATE SET reason = EXCLUDED.reason",
	            TEXTOID, TEXTOID, TIMESTAMPTZOID);
	GaCall call;
	char *name;
	char *reason;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("set_audit_hold()");
	name = ga_arg_text_max(fcinfo, 0, "name", NAME_MAX_BYTES, false);
	reason = ga_arg_text_max(fcinfo, 1, "reason", REASON_MAX_BYTES, false);
	(void) ga_query(&insert, ga_text(name), ga_text(reason), ga_timestamp(ga_now()));
	(void) ga_audit("audit.hold", "audit hold", name, ga_json_pairs("reason", reason, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_drop_audit_hold);
Datum
ga_drop_audit_hold(PG_FUNCTION_ARGS)
{
	static GaStmt delete =
	    GA_STMT("DELETE FROM goldenarch.audit_holds WHERE name OPERATOR(pg_catalog.=) $1", TEXTOID);
	GaCall call;
	char *name;
	char *reason;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("drop_audit_hold()");
	name = ga_arg_text_max(fcinfo, 0, "name", NAME_MAX_BYTES, false);
	reason = ga_arg_text_max(fcinfo, 1, "reason", REASON_MAX_BYTES, false);
	if (ga_query(&delete, ga_text(name)).count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("the audit log is not held by \"%s\"", name)));
	(void) ga_audit("audit.hold_dropped", "audit hold", name,
	                ga_json_pairs("reason", reason, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}
