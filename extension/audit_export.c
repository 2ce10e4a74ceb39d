/* SPDX-License-Identifier: PostgreSQL */
/*
 * What goldenarch-verify export reads besides tiles: incarnations, entries in the tree's order with
 * what opens their commitments, heads. In pages that the caller asks for; nothing is computed, so
 * that the verdict is the verifier's alone.
 *
 * Entries are those of every tenant, hence system.admin besides audit.view: the tree has no part
 * that belongs to one tenant.
 */
#include "goldenarch/compat.h"

#include "goldenarch/error.h"
#include "goldenarch/query.h"

#define PAGE_ROWS_MAX 10000

GA_FUNCTION(ga_audit_incarnations);
Datum
ga_audit_incarnations(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_READ(
	    "SELECT t.incarnation::pg_catalog.int4, t.origin::pg_catalog.text, "
	    "t.opened_at::pg_catalog.timestamptz, t.reason::pg_catalog.text, t.size::pg_catalog.int8, "
	    "t.minimum_index::pg_catalog.int8, t.parent_size::pg_catalog.int8, "
	    "t.parent_root::pg_catalog.bytea, ARRAY(SELECT k.vkey::pg_catalog.text FROM "
	    "goldenarch.audit_keys k WHERE k.incarnation OPERATOR(pg_catalog.=) t.incarnation ORDER BY "
	    "k.added_at USING OPERATOR(pg_catalog.<), k.vkey USING OPERATOR(pg_catalog.<)) FROM "
	    "goldenarch.audit_trees t ORDER BY t.incarnation USING OPERATOR(pg_catalog.<)");
	GaCall call;
	GaRows rows;

	ga_enter_global(&call, "audit.view");
	ga_set_begin(fcinfo);
	rows = ga_query(&find);
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}

GA_FUNCTION(ga_audit_export_entries);
Datum
ga_audit_export_entries(PG_FUNCTION_ARGS)
{
	/*
	 * A leaf whose entry is gone is a row too: the reader tells pruned from missing. A page is few
	 * leaves of many: bounded on both sides, and each looks its own entry up, whatever the planner
	 * believes of tables that nobody analyzed yet.
	 */
	static GaStmt find = GA_READ(
	    "SELECT l.leaf_index::pg_catalog.int8, l.id::pg_catalog.int8, e.entry::pg_catalog.bytea, "
	    "e.salt::pg_catalog.bytea, e.details_text::pg_catalog.text FROM goldenarch.audit_leaves l "
	    "LEFT JOIN LATERAL (SELECT a.entry, a.salt, a.details_text FROM goldenarch.audit_entries a "
	    "WHERE a.tenant OPERATOR(pg_catalog.=) l.tenant AND a.id OPERATOR(pg_catalog.=) l.id LIMIT "
	    "1) e ON true WHERE l.incarnation OPERATOR(pg_catalog.=) $1 AND l.leaf_index "
	    "OPERATOR(pg_catalog.>=) $2 AND l.leaf_index OPERATOR(pg_catalog.<) $3 ORDER BY "
	    "l.leaf_index USING OPERATOR(pg_catalog.<), l.id USING OPERATOR(pg_catalog.<)",
	    INT4OID, INT8OID, INT8OID);
	GaCall call;
	GaRows rows;
	int32 incarnation;
	int64 from;
	int32 count;

	ga_enter_global(&call, "audit.view");
	ga_require_permission(call.principal, "system.admin");
	incarnation = ga_arg_int4(fcinfo, 0, "incarnation", 1, PG_INT32_MAX);
	from = ga_arg_int8(fcinfo, 1, "from_index", 0, PG_INT64_MAX);
	count = ga_arg_int4(fcinfo, 2, "count", 1, PAGE_ROWS_MAX);
	ga_set_begin(fcinfo);
	rows = ga_query(&find, ga_int4(incarnation), ga_int8(from),
	                ga_int8(from > PG_INT64_MAX - count ? PG_INT64_MAX : from + count));
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}

GA_FUNCTION(ga_audit_export_heads);
Datum
ga_audit_export_heads(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_READ(
	    "SELECT h.id::pg_catalog.int8, h.size::pg_catalog.int8, h.root::pg_catalog.bytea, "
	    "h.signed_at::pg_catalog.timestamptz, h.note::pg_catalog.text FROM goldenarch.audit_heads "
	    "h "
	    "WHERE h.incarnation OPERATOR(pg_catalog.=) $1 AND h.id OPERATOR(pg_catalog.>) $2 ORDER BY "
	    "h.id USING OPERATOR(pg_catalog.<) LIMIT $3",
	    INT4OID, INT8OID, INT8OID);
	GaCall call;
	GaRows rows;
	int32 incarnation;
	int64 after;
	int32 count;

	ga_enter_global(&call, "audit.view");
	incarnation = ga_arg_int4(fcinfo, 0, "incarnation", 1, PG_INT32_MAX);
	after = ga_arg_int8(fcinfo, 1, "after_id", 0, PG_INT64_MAX);
	count = ga_arg_int4(fcinfo, 2, "count", 1, PAGE_ROWS_MAX);
	ga_set_begin(fcinfo);
	rows = ga_query(&find, ga_int4(incarnation), ga_int8(after), ga_int8(count));
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}
