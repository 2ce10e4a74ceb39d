/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify(): the log judged from inside the server. The parts do the work
 * (audit_verify_rows.c, _tree.c, _heads.c, _complete.c); here stand the list of checks, what a
 * caller may have checked, and the answer: one row a check, each time all of them.
 *
 * A caller that sees every tenant has everything checked. Any other has its own rows checked
 * against the tree; what concerns all tenants is then null, not true. There is no function that
 * repairs. What the server itself says of itself convinces nobody who does not trust it:
 * goldenarch-verify does the same from an export, and against a head that was kept elsewhere.
 */
#include "audit_verify.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"

#define PROGRESS_EVERY_NS (INT64CONST(10) * 1000000000)

static const char *const check_names[GA_VERIFY_CHECKS] = {
    "integrity.entries",      "integrity.columns",  "integrity.details", "integrity.leaves",
    "integrity.tiles",        "integrity.root",     "integrity.heads",   "integrity.signatures",
    "integrity.incarnations", "integrity.anchors",  "integrity.guards",  "completeness.sealed",
    "completeness.leaves",    "completeness.state", "freshness.head",    "freshness.anchor"};

void
ga_verify_bad(GaVerify *v, GaVerifyCheck check, int64 id, const char *format, ...)
{
	GaFinding *finding = &v->findings[check];
	MemoryContext old;
	StringInfoData text;
	va_list args;

	finding->looked = true;
	finding->bad++;
	if (finding->what && (id == 0 || (finding->first_id != 0 && id >= finding->first_id)))
		return;
	old = MemoryContextSwitchTo(v->lasts);
	initStringInfo(&text);
	for (;;)
	{
		int needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	finding->first_id = id;
	finding->what = text.data;
	MemoryContextSwitchTo(old);
}

void
ga_verify_good(GaVerify *v, GaVerifyCheck check, const char *format, ...)
{
	MemoryContext old = MemoryContextSwitchTo(v->lasts);
	va_list args;
	char *text = palloc(256);

	va_start(args, format);
	vsnprintf(text, 256, format, args);
	va_end(args);
	v->findings[check].looked = true;
	v->findings[check].good = text;
	MemoryContextSwitchTo(old);
}

void
ga_verify_page_begin(GaVerify *v)
{
	v->call->result_context = v->page;
	MemoryContextSwitchTo(v->page);
}

void
ga_verify_page_end(GaVerify *v)
{
	v->call->result_context = v->lasts;
	MemoryContextSwitchTo(v->lasts);
	MemoryContextReset(v->page);
}

void
ga_verify_progress(GaVerify *v, const char *what, uint64 done)
{
	int64 now;

	CHECK_FOR_INTERRUPTS();
	now = ga_monotonic_ns();
	if (now - v->told_at < PROGRESS_EVERY_NS)
		return;
	v->told_at = now;
	ereport(NOTICE, (errmsg("audit_verify(): " UINT64_FORMAT " %s looked at", done, what)));
}

GaAuditTree *
ga_verify_tree(const GaVerify *v, int32 incarnation)
{
	int i;

	for (i = 0; i < v->ntrees; i++)
		if (v->trees[i]->incarnation == incarnation)
			return v->trees[i];
	return NULL;
}

int64
ga_verify_id_of(const GaAuditTree *tree, uint64 leaf_index)
{
	static GaStmt find = GA_READ("SELECT l.id::pg_catalog.int8 FROM goldenarch.audit_leaves l "
	                             "WHERE l.incarnation OPERATOR(pg_catalog.=) $1 AND l.leaf_index "
	                             "OPERATOR(pg_catalog.=) $2 LIMIT 1",
	                             INT4OID, INT8OID);
	GaRows rows = ga_query(&find, ga_int4(tree->incarnation), ga_int8((int64) leaf_index));
	int64 id = rows.count > 0 ? ga_row_int8(&rows, 0, 1) : 0;

	ga_rows_free(&rows);
	return id;
}

static void
load_trees(GaVerify *v)
{
	static GaStmt find =
	    GA_READ("SELECT t.incarnation::pg_catalog.int4 FROM goldenarch.audit_trees t ORDER BY "
	            "t.incarnation USING OPERATOR(pg_catalog.<)");
	GaRows rows = ga_query(&find);
	uint64 row;

	v->trees = palloc0(sizeof(GaAuditTree *) * Max(rows.count, 1));
	for (row = 0; row < rows.count; row++)
	{
		v->trees[v->ntrees] = ga_audit_tree(ga_row_int4(&rows, row, 1));
		if (v->trees[v->ntrees])
			v->ntrees++;
	}
	ga_rows_free(&rows);
}

static void
answer(FunctionCallInfo fcinfo, const GaVerify *v)
{
	int i;

	for (i = 0; i < GA_VERIFY_CHECKS; i++)
	{
		const GaFinding *finding = &v->findings[i];
		const char *detail = finding->good ? finding->good : "";
		Datum values[4];
		bool nulls[4] = {false, !finding->looked, finding->first_id == 0, false};

		if (!finding->looked)
			detail = "Not checked: it concerns every tenant.";
		else if (finding->bad > 1)
			detail = psprintf("%s (" UINT64_FORMAT " in all)", finding->what, finding->bad);
		else if (finding->bad == 1)
			detail = finding->what;
		values[0] = CStringGetTextDatum(check_names[i]);
		values[1] = BoolGetDatum(finding->bad == 0);
		values[2] = Int64GetDatum(finding->first_id);
		values[3] = CStringGetTextDatum(detail);
		ga_set_add(fcinfo, values, nulls);
	}
}

static void
switch_off(const char *setting)
{
	(void) set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
	                         false);
}

/*
 * What goes page by page follows the indexes, also where a plan was made of empty tables; compiling
 * is not worth while. What looks at whole tables is planned as they are.
 */
static void
judge(GaVerify *v)
{
	int guc_level = NewGUCNestLevel();

	switch_off("jit");
	switch_off("enable_sort");
	switch_off("enable_seqscan");
	switch_off("enable_bitmapscan");
	switch_off("enable_hashjoin");
	switch_off("enable_mergejoin");
	load_trees(v);
	ga_verify_rows(v);
	ga_verify_trees(v);
	if (v->whole)
		ga_verify_heads(v);
	AtEOXact_GUC(true, guc_level);
	if (!v->whole)
		return;
	ga_verify_guards(v);
	ga_verify_complete(v);
}

GA_FUNCTION(ga_audit_verify);
Datum
ga_audit_verify(PG_FUNCTION_ARGS)
{
	GaVerify *v = palloc0(sizeof(GaVerify));
	GaCall call;

	ga_enter(&call, "audit.view");
	v->from_id =
	    PG_ARGISNULL(0) ? PG_INT64_MIN : ga_arg_int8(fcinfo, 0, "from_id", 0, PG_INT64_MAX);
	v->to_id = PG_ARGISNULL(1) ? PG_INT64_MAX : ga_arg_int8(fcinfo, 1, "to_id", 0, PG_INT64_MAX);
	if (v->from_id > v->to_id)
		ga_bad_argument("from_id", "It must not be greater than to_id.");
	ga_set_begin(fcinfo);
	v->call = &call;
	v->lasts = AllocSetContextCreate(CurrentMemoryContext, "audit_verify", ALLOCSET_DEFAULT_SIZES);
	v->page = AllocSetContextCreate(v->lasts, "audit_verify page", ALLOCSET_DEFAULT_SIZES);
	v->floor = ga_tenant_floor(call.principal);
	v->ceiling = ga_tenant_ceiling(call.principal);
	v->whole = strcmp(v->floor, v->ceiling) != 0;
	v->limited = !v->whole || !PG_ARGISNULL(0) || !PG_ARGISNULL(1);
	v->told_at = ga_monotonic_ns();
	ga_verify_page_end(v);
	judge(v);
	MemoryContextSwitchTo(MemoryContextGetParent(v->lasts));
	call.result_context = CurrentMemoryContext;
	answer(fcinfo, v);
	ga_leave(&call);
	return (Datum) 0;
}
