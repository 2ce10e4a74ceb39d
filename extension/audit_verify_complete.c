/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify(), what is missing: rows that should be leaves, leaves without their rows, the
 * guards of the tables, and state whose last change the log does not tell. Reconciled are the
 * tables that a DBA may UPDATE (each row is what its last configuration.change says), roles and
 * their grants, the live prompts, and the approvals that were decided. Redacted details say
 * nothing; a row they would speak for is passed over.
 */
#include "audit_verify.h"

#include "access/xlog.h"
#include "miscadmin.h"

/* Relations of the log, with the partitions of the two that have some. */
#define LOG_RELATIONS                                                                            \
	"WITH log AS (SELECT c.oid, c.relname, c.relkind, c.relispartition, c.relpersistence, "      \
	"c.relhasrules, c.relrowsecurity, c.relforcerowsecurity FROM pg_catalog.pg_class c WHERE "   \
	"(c.relnamespace OPERATOR(pg_catalog.=) "                                                    \
	"'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "                                     \
	"AND c.relname OPERATOR(pg_catalog.=) ANY ('{audit_entries,audit_leaves,audit_tiles,"        \
	"audit_heads,audit_keys}'::pg_catalog.name[])) OR c.oid OPERATOR(pg_catalog.=) ANY (SELECT " \
	"i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent OPERATOR(pg_catalog.=) ANY "     \
	"('{goldenarch.audit_entries,goldenarch.audit_leaves}'::pg_catalog.regclass[]))) "

void
ga_verify_guards(GaVerify *v)
{
	/* tgtype 58: BEFORE UPDATE OR DELETE OR TRUNCATE of a statement; 27: UPDATE, DELETE of a row */
	static GaStmt find = GA_READ(
	    LOG_RELATIONS
	    "SELECT pg_catalog.format('%s: %s', l.relname, f.fault)::pg_catalog.text FROM log l, "
	    "LATERAL ("
	    "SELECT 'no append_only trigger' AS fault WHERE NOT EXISTS (SELECT FROM "
	    "pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) l.oid AND t.tgfoid "
	    "OPERATOR(pg_catalog.=) 'goldenarch.append_only'::pg_catalog.regproc::pg_catalog.oid AND "
	    "t.tgenabled OPERATOR(pg_catalog.=) 'A' AND t.tgtype OPERATOR(pg_catalog.=) 58 AND "
	    "t.tgqual "
	    "IS NULL) UNION ALL "
	    "SELECT 'no append_only trigger of its rows' WHERE l.relispartition AND NOT EXISTS (SELECT "
	    "FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) l.oid AND t.tgfoid "
	    "OPERATOR(pg_catalog.=) 'goldenarch.append_only'::pg_catalog.regproc::pg_catalog.oid AND "
	    "t.tgenabled OPERATOR(pg_catalog.=) 'A' AND t.tgtype OPERATOR(pg_catalog.=) 27 AND "
	    "t.tgqual "
	    "IS NULL) UNION ALL "
	    "SELECT 'a foreign trigger' WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE "
	    "t.tgrelid OPERATOR(pg_catalog.=) l.oid AND NOT t.tgisinternal AND t.tgfoid "
	    "OPERATOR(pg_catalog.<>) 'goldenarch.append_only'::pg_catalog.regproc::pg_catalog.oid) "
	    "UNION ALL SELECT 'a rule' WHERE l.relhasrules UNION ALL "
	    "SELECT 'not logged' WHERE l.relpersistence OPERATOR(pg_catalog.<>) 'p' UNION ALL "
	    "SELECT 'no forced row security' WHERE l.relkind OPERATOR(pg_catalog.=) 'p' AND NOT "
	    "(l.relrowsecurity AND l.relforcerowsecurity)) f ORDER BY l.relname USING "
	    "OPERATOR(pg_catalog.<), f.fault USING OPERATOR(pg_catalog.<)");
	static GaStmt partitions =
	    GA_READ(LOG_RELATIONS
	            "SELECT pg_catalog.count(*)::pg_catalog.int8, pg_catalog.count(*) FILTER (WHERE "
	            "l.relispartition)::pg_catalog.int8 FROM log l");
	GaRows rows = ga_query_once(&find);
	uint64 row;

	for (row = 0; row < rows.count; row++)
		ga_verify_bad(v, GA_VERIFY_GUARDS, 0, "%s", ga_row_text_present(&rows, row, 1));
	ga_rows_free(&rows);
	rows = ga_query_once(&partitions);
	if (ga_row_int8(&rows, 0, 2) < 2)
		ga_verify_bad(v, GA_VERIFY_GUARDS, 0, "A partition of the log is missing.");
	ga_verify_good(v, GA_VERIFY_GUARDS, "Nothing of " INT64_FORMAT " tables can be changed by SQL.",
	               ga_row_int8(&rows, 0, 1));
	ga_rows_free(&rows);
}

/*
 * Rows that the last sealing should have taken, if it was in this database: in one that was copied
 * or restored since, transaction ids mean something else until it seals for itself.
 */
static void
check_sealed(GaVerify *v)
{
	static GaStmt missed = GA_READ(
	    "SELECT coalesce(pg_catalog.min(e.id), 0)::pg_catalog.int8, "
	    "pg_catalog.count(*)::pg_catalog.int8 FROM goldenarch.audit_entries e, (SELECT t.sealed "
	    "FROM goldenarch.audit_trees t WHERE t.incarnation OPERATOR(pg_catalog.=) (SELECT "
	    "pg_catalog.max(x.incarnation) FROM goldenarch.audit_trees x) AND t.system_identifier "
	    "OPERATOR(pg_catalog.=) $3 AND t.database OPERATOR(pg_catalog.=) $4) s "
	    "WHERE e.id OPERATOR(pg_catalog.>=) $1 AND e.id OPERATOR(pg_catalog.<=) $2 AND "
	    "pg_catalog.pg_visible_in_snapshot(e.xid, s.sealed) AND NOT EXISTS (SELECT FROM "
	    "goldenarch.audit_leaves l WHERE l.tenant OPERATOR(pg_catalog.=) e.tenant AND l.id "
	    "OPERATOR(pg_catalog.=) e.id)",
	    INT8OID, INT8OID, INT8OID, OIDOID);
	static GaStmt twice = GA_READ(
	    "SELECT e.id::pg_catalog.int8 FROM goldenarch.audit_entries e WHERE e.id "
	    "OPERATOR(pg_catalog.>=) $1 AND e.id OPERATOR(pg_catalog.<=) $2 GROUP BY e.id HAVING "
	    "pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 ORDER BY e.id USING "
	    "OPERATOR(pg_catalog.<) LIMIT 1",
	    INT8OID, INT8OID);
	GaRows rows = ga_query_once(&missed, ga_int8(v->from_id), ga_int8(v->to_id),
	                            ga_int8((int64) GetSystemIdentifier()),
	                            ga_datum(ObjectIdGetDatum(MyDatabaseId), false));

	if (ga_row_int8(&rows, 0, 2) > 0)
		ga_verify_bad(v, GA_VERIFY_SEALED, ga_row_int8(&rows, 0, 1),
		              "%lld rows are older than the last seal and no leaf.",
		              (long long) ga_row_int8(&rows, 0, 2));
	ga_rows_free(&rows);
	rows = ga_query_once(&twice, ga_int8(v->from_id), ga_int8(v->to_id));
	if (rows.count > 0)
		ga_verify_bad(v, GA_VERIFY_SEALED, ga_row_int8(&rows, 0, 1), "Several rows have one id.");
	ga_rows_free(&rows);
	ga_verify_good(v, GA_VERIFY_SEALED, "Every row older than the last seal is a leaf.");
}

/* Each index from the minimum to the size stands for one leaf, and each leaf for a row. */
static void
check_present(GaVerify *v, const GaAuditTree *tree)
{
	static GaStmt gaps = GA_READ(
	    "SELECT x.expected::pg_catalog.int8, x.id::pg_catalog.int8 FROM (SELECT l.id, "
	    "l.leaf_index, "
	    "coalesce(pg_catalog.lag(l.leaf_index) OVER (ORDER BY l.leaf_index USING "
	    "OPERATOR(pg_catalog.<)), $2 OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.+) 1 AS "
	    "expected "
	    "FROM goldenarch.audit_leaves l WHERE l.incarnation OPERATOR(pg_catalog.=) $1 AND "
	    "l.leaf_index OPERATOR(pg_catalog.>=) $2) x WHERE x.leaf_index OPERATOR(pg_catalog.<>) "
	    "x.expected ORDER BY x.leaf_index USING OPERATOR(pg_catalog.<) LIMIT 1",
	    INT4OID, INT8OID);
	static GaStmt end =
	    GA_READ("SELECT coalesce(pg_catalog.max(l.leaf_index), $2 OPERATOR(pg_catalog.-) "
	            "1)::pg_catalog.int8 FROM goldenarch.audit_leaves l WHERE l.incarnation "
	            "OPERATOR(pg_catalog.=) $1 AND l.leaf_index OPERATOR(pg_catalog.>=) $2",
	            INT4OID, INT8OID);
	static GaStmt orphan = GA_READ(
	    "SELECT l.id::pg_catalog.int8, l.leaf_index::pg_catalog.int8 FROM goldenarch.audit_leaves "
	    "l "
	    "WHERE l.incarnation OPERATOR(pg_catalog.=) $1 AND l.leaf_index OPERATOR(pg_catalog.>=) $2 "
	    "AND l.id OPERATOR(pg_catalog.>=) $3 AND l.id OPERATOR(pg_catalog.<=) $4 AND NOT EXISTS "
	    "(SELECT FROM goldenarch.audit_entries e WHERE e.tenant OPERATOR(pg_catalog.=) l.tenant "
	    "AND "
	    "e.id OPERATOR(pg_catalog.=) l.id) ORDER BY l.id USING OPERATOR(pg_catalog.<) LIMIT 1",
	    INT4OID, INT8OID, INT8OID, INT8OID);
	GaArg incarnation = ga_int4(tree->incarnation);
	GaArg minimum = ga_int8((int64) tree->minimum_index);
	GaRows rows = ga_query_once(&gaps, incarnation, minimum);

	if (rows.count > 0)
		ga_verify_bad(v, GA_VERIFY_PRESENT, ga_row_int8(&rows, 0, 2),
		              "Leaf %lld of \"%s\" is missing, or is there twice; this is the next row.",
		              (long long) ga_row_int8(&rows, 0, 1), tree->origin);
	ga_rows_free(&rows);
	rows = ga_query_once(&end, incarnation, minimum);
	if (ga_row_int8(&rows, 0, 1) + 1 != (int64) tree->size)
		ga_verify_bad(v, GA_VERIFY_PRESENT, 0,
		              "Truncated: \"%s\" has " UINT64_FORMAT " leaves, the rows end at %lld.",
		              tree->origin, tree->size, (long long) ga_row_int8(&rows, 0, 1));
	ga_rows_free(&rows);
	rows = ga_query_once(&orphan, incarnation, minimum, ga_int8(v->from_id), ga_int8(v->to_id));
	if (rows.count > 0)
		ga_verify_bad(v, GA_VERIFY_PRESENT, ga_row_int8(&rows, 0, 1),
		              "Leaf %lld of \"%s\" has no row any more.",
		              (long long) ga_row_int8(&rows, 0, 2), tree->origin);
	ga_rows_free(&rows);
}

/*
 * What begins behind the first leaf was pruned, and a row that is still there tells of it: "ORIGIN
 * INDEX ROOT". Pruning a tree takes those before it as a whole, without a row for each.
 */
static void
check_pruned(GaVerify *v, int n)
{
	static GaStmt find = GA_READ(
	    "SELECT 1::pg_catalog.int8 FROM goldenarch.audit_entries e WHERE e.action "
	    "OPERATOR(pg_catalog.=) 'audit.prune' AND e.outcome OPERATOR(pg_catalog.=) 'ok' AND "
	    "e.resource_id OPERATOR(pg_catalog.=) pg_catalog.format('%s %s %s', $1, $2, "
	    "pg_catalog.encode($3, 'hex')) LIMIT 1",
	    TEXTOID, INT8OID, BYTEAOID);
	GaAuditTree *tree = v->trees[n];
	uint8 root[GA_HASH_BYTES];
	GaRows rows;
	bool told = false;

	if (tree->minimum_index == 0 || (tree->minimum_index == tree->size && n + 1 < v->ntrees &&
	                                 v->trees[v->ntrees - 1]->minimum_index > 0))
		return;
	if (ga_tile_root(tree->minimum_index, ga_audit_read_tile, tree, root))
	{
		rows = ga_query_once(&find, ga_text(tree->origin), ga_int8((int64) tree->minimum_index),
		                     ga_bytea(root, GA_HASH_BYTES));
		told = rows.count > 0;
		ga_rows_free(&rows);
	}
	if (!told)
		ga_verify_bad(v, GA_VERIFY_PRESENT, 0,
		              "\"%s\" begins at leaf " UINT64_FORMAT ", and no audit.prune tells of it.",
		              tree->origin, tree->minimum_index);
}

/* Details that are gone though no audit.redact tells of it. */
static void
check_erased(GaVerify *v)
{
	static GaStmt find = GA_READ(
	    "SELECT coalesce(pg_catalog.min(e.id), 0)::pg_catalog.int8 FROM goldenarch.audit_entries e "
	    "WHERE e.salt IS NULL AND e.id OPERATOR(pg_catalog.>=) $1 AND e.id OPERATOR(pg_catalog.<=) "
	    "$2 AND NOT EXISTS (SELECT FROM goldenarch.audit_entries r WHERE r.action "
	    "OPERATOR(pg_catalog.=) 'audit.redact' AND r.resource_type OPERATOR(pg_catalog.=) "
	    "'audit_entry' AND r.outcome OPERATOR(pg_catalog.=) 'ok' AND r.resource_id "
	    "OPERATOR(pg_catalog.=) e.id::pg_catalog.text)",
	    INT8OID, INT8OID);
	GaRows rows = ga_query_once(&find, ga_int8(v->from_id), ga_int8(v->to_id));

	if (ga_row_int8(&rows, 0, 1) > 0)
		ga_verify_bad(v, GA_VERIFY_DETAILS, ga_row_int8(&rows, 0, 1),
		              "The details are gone, and no audit.redact tells of it.");
	ga_rows_free(&rows);
}

void
ga_verify_complete(GaVerify *v)
{
	int n;

	check_sealed(v);
	for (n = 0; n < v->ntrees; n++)
	{
		check_present(v, v->trees[n]);
		check_pruned(v, n);
	}
	ga_verify_good(v, GA_VERIFY_PRESENT, "Every leaf from the minimum index on has its row.");
	check_erased(v);
	ga_verify_state(v);
}
