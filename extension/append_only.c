/* SPDX-License-Identifier: PostgreSQL */
/*
 * The trigger that keeps records records: BEFORE UPDATE, DELETE or TRUNCATE, ENABLE ALWAYS, on each
 * append-only table. Two acts of ours may pass it, both of which leave audit rows of their own:
 * erasing what an entry only commits to, and pruning what lies below the minimum index.
 */
#include "append_only.h"

#include "commands/trigger.h"
#include "utils/rel.h"

static bool lifted; /* only while ga_query_lifted runs */

GaRows
ga_query_lifted_args(GaStmt *stmt, const GaArg *args, int nargs)
{
	GaRows rows;

	lifted = true;
	PG_TRY();
	{
		rows = ga_query_args(stmt, args, nargs);
	}
	PG_FINALLY();
	{
		lifted = false;
	}
	PG_END_TRY();
	return rows;
}

GA_FUNCTION(ga_append_only);
Datum
ga_append_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("append_only must be called as a trigger")));
	if (lifted)
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
		                                                                  : trigger->tg_trigtuple);
	ereport(ERROR,
	        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	         errmsg("table \"%s\" is append-only", NameStr(trigger->tg_relation->rd_rel->relname)),
	         errdetail("Its rows are a record: none is ever changed or removed.")));
}
