/* SPDX-License-Identifier: PostgreSQL */
/*
 * attach_audit(), detach_audit(): the triggers of row_audit.c on a user's table.
 *
 * Whether the caller may is asked inside the switch; the triggers are then made by plain SQL with
 * the caller's own rights, outside of it, so that it must own the table, and event triggers see it
 * as any DDL. EXECUTE on the trigger's function is nobody's: who made triggers by hand would write
 * the log without the permission. A caller that lacks it is lent it for these statements; lending
 * and taking back are one transaction, under a lock on the function, and leave no trace.
 *
 * Locks, in this order: the table and its partitions (SHARE ROW EXCLUSIVE to attach, ACCESS
 * EXCLUSIVE to detach, as CREATE and DROP TRIGGER), the function (when it is lent). All last to the
 * end of the transaction.
 */
#include "goldenarch/query.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "row_json.h"

#define PERMISSION "audit.configure"
#define ROW_TRIGGER "goldenarch_audit"
#define TRUNCATE_TRIGGER "goldenarch_audit_truncate"

typedef struct Target
{
	Oid relation;
	char *name;    /* schema-qualified, quoted */
	char **except; /* columns whose values are withheld */
	int nexcept;
	List *members; /* oids: the table and its partitions */
	Oid function;  /* of the triggers */
	bool changed;
} Target;

static void
refuse_kind(const Target *target, const char *detail)
{
	ereport(ERROR,
	        (errcode(ERRCODE_WRONG_OBJECT_TYPE),
	         errmsg("changes of \"%s\" cannot be audited", target->name), errdetail("%s", detail)));
}

static void
require_owner(const Target *target)
{
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = "permission.check",
	                   .resource_type = "table",
	                   .resource_id = target->name};

	if (ga_is_relation_owner(target->relation, GetUserId()))
		return;
	denial.message = psprintf("must be owner of table %s", target->name);
	ga_deny(&denial);
}

static void
read_target(FunctionCallInfo fcinfo, Target *target)
{
	char kind;

	if (PG_ARGISNULL(0))
		ga_bad_argument("target", "It must not be null.");
	target->relation = PG_GETARG_OID(0);
	target->name = ga_table_name(target->relation);
	kind = get_rel_relkind(target->relation);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		refuse_kind(target, "It is not a table.");
	if (get_rel_namespace(target->relation) == get_namespace_oid("goldenarch", false))
		refuse_kind(target, "It is goldenarch's own.");
	if (get_rel_persistence(target->relation) == RELPERSISTENCE_TEMP)
		refuse_kind(target, "It is temporary.");
}

static void
read_except(FunctionCallInfo fcinfo, Target *target)
{
	Datum *items;
	bool *nulls;
	int i;

	if (PG_ARGISNULL(1))
		ga_bad_argument("except_columns", "It must not be null.");
	if (ARR_NDIM(PG_GETARG_ARRAYTYPE_P(1)) > 1)
		ga_bad_argument("except_columns", "The array must have one dimension.");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &items,
	                  &nulls, &target->nexcept);
	target->except = palloc(sizeof(char *) * (target->nexcept + 1));
	for (i = 0; i < target->nexcept; i++)
	{
		if (nulls[i])
			ga_bad_argument("except_columns", "The array must not hold a null.");
		target->except[i] = pstrdup(NameStr(*DatumGetName(items[i])));
	}
}

/* A permission is asked for first; then what is asked is looked at. */
static void
begin(FunctionCallInfo fcinfo, const char *what, LOCKMODE lock, Target *target)
{
	GaCall call;

	ga_enter_global(&call, PERMISSION);
	ga_require_writable(what);
	memset(target, 0, sizeof(*target));
	read_target(fcinfo, target);
	ga_leave(&call);
	if (InSecurityRestrictedOperation())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("cannot call %s within a security-restricted operation", what)));
	require_owner(target);
	target->function = LookupFuncName(list_make2(makeString("goldenarch"), makeString("audit_row")),
	                                  0, NULL, false);
	LockRelationOid(target->relation, lock);
	if (get_rel_relkind(target->relation) == RELKIND_PARTITIONED_TABLE)
		target->members = find_all_inheritors(target->relation, lock, NULL);
	else
		target->members = list_make1_oid(target->relation);
	/* it may have got another name or owner, or gone, while the lock was waited for */
	read_target(fcinfo, target);
	require_owner(target);
}

static void
run_as_caller(const char *sql)
{
	GaJson none;

	ga_json_begin_array(&none);
	ga_query_as_caller(sql, ga_json_end(&none), NULL, NULL);
}

/* True when it was lent, and is to be taken back. */
static bool
lend_function(const Target *target, Oid role)
{
	GaCall call;

	if (ga_may_execute(target->function, role))
		return false;
	LockDatabaseObject(ProcedureRelationId, target->function, 0, AccessExclusiveLock);
	ga_enter_as(&call, ga_principal());
	ga_execute(psprintf("GRANT EXECUTE ON FUNCTION goldenarch.audit_row() TO %s",
	                    quote_identifier(GetUserNameFromId(role, false))));
	ga_leave(&call);
	return true;
}

static void
take_function_back(Oid role)
{
	GaCall call;

	ga_enter_as(&call, ga_principal());
	ga_execute(psprintf("REVOKE EXECUTE ON FUNCTION goldenarch.audit_row() FROM %s",
	                    quote_identifier(GetUserNameFromId(role, false))));
	ga_leave(&call);
}

typedef struct Found
{
	bool there;
	bool always;
	bool copy; /* of a trigger of the partitioned table above */
	bool same; /* arguments */
} Found;

static Found
find_trigger(const Target *target, Oid relation, const char *name)
{
	Relation table = table_open(relation, NoLock);
	Found found = {0};
	int i;
	int j;

	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &table->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, name) != 0)
			continue;
		if (trigger->tgfoid != target->function)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
			                errmsg("trigger \"%s\" of \"%s\" is not goldenarch's", name,
			                       ga_table_name(relation)),
			                errhint("Rename it.")));
		found.there = true;
		found.always = trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
		found.copy = trigger->tgisclone;
		found.same = trigger->tgnargs == target->nexcept;
		for (j = 0; found.same && j < trigger->tgnargs; j++)
			found.same = strcmp(trigger->tgargs[j], target->except[j]) == 0;
	}
	table_close(table, NoLock);
	return found;
}

static void
make_trigger(Target *target, Oid relation, const char *name, const char *event, const char *level)
{
	char *table = ga_table_name(relation);
	StringInfoData sql;
	int i;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OR REPLACE TRIGGER %s AFTER %s ON %s %s ", name, event, table,
	                 level);
	appendStringInfoString(&sql, "EXECUTE FUNCTION goldenarch.audit_row(");
	for (i = 0; i < target->nexcept; i++)
		appendStringInfo(&sql, "%s%s", i ? ", " : "", quote_literal_cstr(target->except[i]));
	appendStringInfoChar(&sql, ')');
	run_as_caller(sql.data);
	run_as_caller(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table, name));
	target->changed = true;
}

/* Columns that must exist and not be of the key; the key that rows are told apart by. */
static void
check_columns(const Target *target)
{
	Relation table = table_open(target->relation, NoLock);
	Bitmapset *key = ga_key_columns(table);
	int i;

	if (!key && table->rd_rel->relreplident != REPLICA_IDENTITY_FULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("table %s has no primary key", target->name),
		                errdetail("A change could not be told from that of another row."),
		                errhint("Add a primary key, or set its REPLICA IDENTITY to a unique index, "
		                        "or to FULL: each change is then recorded with the whole row.")));
	for (i = 0; i < target->nexcept; i++)
	{
		AttrNumber column = get_attnum(target->relation, target->except[i]);

		if (column == InvalidAttrNumber)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
			                errmsg("column \"%s\" of table %s does not exist", target->except[i],
			                       target->name)));
		if (column < 0 || bms_is_member(column - FirstLowInvalidHeapAttributeNumber, key))
			ga_bad_argument("except_columns",
			                psprintf("Column \"%s\" tells the row.", target->except[i]));
	}
	table_close(table, NoLock);
}

static void
make_row_trigger(Target *target)
{
	Found found = find_trigger(target, target->relation, ROW_TRIGGER);
	bool complete = found.there && found.same;
	ListCell *cell;

	foreach (cell, target->members)
		complete = complete && find_trigger(target, lfirst_oid(cell), ROW_TRIGGER).always;
	if (complete)
		return;
	if (found.copy)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("table %s is audited as a partition", target->name),
		                errhint("Call attach_audit() for the partitioned table.")));
	make_trigger(target, target->relation, ROW_TRIGGER, "INSERT OR UPDATE OR DELETE",
	             "FOR EACH ROW");
}

/* TRUNCATE triggers are not handed down to partitions: each has its own. */
static void
make_truncate_triggers(Target *target)
{
	ListCell *cell;

	foreach (cell, target->members)
	{
		Oid member = lfirst_oid(cell);
		Found found;

		if (get_rel_relkind(member) == RELKIND_FOREIGN_TABLE)
			continue;
		found = find_trigger(target, member, TRUNCATE_TRIGGER);
		if (!found.there || !found.always || !found.same)
			make_trigger(target, member, TRUNCATE_TRIGGER, "TRUNCATE", "FOR EACH STATEMENT");
	}
}

static void
record(const Target *target, const char *action)
{
	GaCall call;
	GaJson json;
	int i;

	if (!target->changed)
		return;
	ga_enter(&call, NULL);
	ga_json_begin_object(&json);
	if (target->nexcept > 0)
	{
		ga_json_begin_array_in(&json, "except_columns");
		for (i = 0; i < target->nexcept; i++)
			ga_json_text(&json, NULL, target->except[i]);
		ga_json_end_array(&json);
	}
	(void) ga_audit(action, "table", target->name, ga_json_end(&json));
	ga_leave(&call);
}

GA_FUNCTION(ga_attach_audit);
Datum
ga_attach_audit(PG_FUNCTION_ARGS)
{
	Target target;
	bool lent;

	begin(fcinfo, "attach_audit()", ShareRowExclusiveLock, &target);
	read_except(fcinfo, &target);
	check_columns(&target);
	lent = lend_function(&target, GetUserId());
	make_row_trigger(&target);
	make_truncate_triggers(&target);
	if (lent)
		take_function_back(GetUserId());
	if (target.members->length == 1 && has_subclass(target.relation))
		ereport(NOTICE, (errmsg("tables that inherit from %s are not audited", target.name),
		                 errhint("Call attach_audit() for each of them.")));
	record(&target, "attach_audit");
	PG_RETURN_VOID();
}

static void
drop_trigger(Target *target, Oid relation, const char *name)
{
	Found found = find_trigger(target, relation, name);

	if (!found.there)
		return;
	if (found.copy)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("table %s is audited as a partition", target->name),
		                errhint("Call detach_audit() for the partitioned table.")));
	run_as_caller(psprintf("DROP TRIGGER %s ON %s", name, ga_table_name(relation)));
	target->changed = true;
}

GA_FUNCTION(ga_detach_audit);
Datum
ga_detach_audit(PG_FUNCTION_ARGS)
{
	Target target;
	ListCell *cell;

	begin(fcinfo, "detach_audit()", AccessExclusiveLock, &target);
	drop_trigger(&target, target.relation, ROW_TRIGGER);
	foreach (cell, target.members)
		drop_trigger(&target, lfirst_oid(cell), TRUNCATE_TRIGGER);
	if (!target.changed)
		ereport(NOTICE, (errmsg("changes of %s were not audited", target.name)));
	record(&target, "detach_audit");
	PG_RETURN_VOID();
}
