/* SPDX-License-Identifier: PostgreSQL */
/*
 * configuration.c: the trail of configuration that a DBA may change by plain UPDATE.
 *
 * One audit row a changed row, in the changing transaction: it commits with the change or not at
 * all. A trigger of ours runs with whatever rights the statement has, so it enters like a function;
 * unlike one it also runs inside another's restricted operation, since a change must never go
 * unrecorded. The load of a dump is not a change: rows it puts in place leave no trace.
 */
#include "goldenarch/compat.h"

#include "commands/trigger.h"
#include "utils/rel.h"

#include "goldenarch/audit.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "ground.h"
#include "row_json.h"

GA_FUNCTION(ga_audit_configuration);

static bool
is_restore(const TriggerData *trigger)
{
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return ga_restoring();
	/* what seed_restore() clears before the dump's rows come */
	return TRIGGER_FIRED_BY_DELETE(trigger->tg_event) && ga_inside_call() &&
	       ga_principal()->kind == GA_SYSTEM;
}

/* The first column, which is the key of every table of this kind; "*" for all rows. */
static char *
key_of(const TriggerData *trigger, const Jsonb *row)
{
	const char *column = NameStr(TupleDescAttr(RelationGetDescr(trigger->tg_relation), 0)->attname);
	char *key = row != NULL ? ga_json_get_text(row, column) : NULL;

	return key != NULL ? key : pstrdup("*");
}

static void
record(const TriggerData *trigger, const char *operation, HeapTuple before, HeapTuple after)
{
	const char *table = RelationGetRelationName(trigger->tg_relation);
	GaCall call;
	GaJson json;
	const Jsonb *was;
	const Jsonb *is;

	ga_enter(&call, NULL);
	was = before ? ga_row_json(trigger, before) : NULL;
	is = after ? ga_row_json(trigger, after) : NULL;
	if (was == NULL || is == NULL ||
	    compareJsonbContainers(&unconstify(Jsonb *, was)->root, &unconstify(Jsonb *, is)->root) !=
	        0)
	{
		ga_json_begin_object(&json);
		ga_json_text(&json, "operation", operation);
		if (was != NULL)
			ga_json_jsonb(&json, "before", was);
		if (is != NULL)
			ga_json_jsonb(&json, "after", is);
		ga_audit("configuration.change", table, key_of(trigger, is ? is : was), ga_json_end(&json));
	}
	ga_leave(&call);
}

Datum
ga_audit_configuration(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("audit_configuration must be a trigger after the change")));
	if (is_restore(trigger))
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		record(trigger, "update", trigger->tg_trigtuple, trigger->tg_newtuple);
	else if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		record(trigger, "insert", NULL, trigger->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		record(trigger, "delete", trigger->tg_trigtuple, NULL);
	else
		record(trigger, "truncate", NULL, NULL);
	return PointerGetDatum(NULL);
}
