/* SPDX-License-Identifier: PostgreSQL */
/* The state machines of core/fsm, for SQL: CHECK constraints and the dump of all edges. */
#include "goldenarch/compat.h"

#include "utils/builtins.h"

#include "goldenarch/query.h"
#include "fsm.h"

GA_FUNCTION(ga_is_state);
Datum
ga_is_state(PG_FUNCTION_ARGS)
{
	GaMachine machine;

	if (!ga_fsm_machine_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)), &machine))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("there is no state machine \"%s\"",
		                       text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	PG_RETURN_BOOL(ga_fsm_state_by_name(machine, text_to_cstring(PG_GETARG_TEXT_PP(1))) >= 0);
}

GA_FUNCTION(ga_state_edges);
Datum
ga_state_edges(PG_FUNCTION_ARGS)
{
	size_t cursor = 0;
	GaFsmEdge edge;

	ga_set_begin(fcinfo);
	while (ga_fsm_next_edge(&cursor, &edge))
	{
		Datum values[3] = {CStringGetTextDatum(edge.machine_name),
		                   CStringGetTextDatum(edge.from_name), CStringGetTextDatum(edge.to_name)};
		bool nulls[3] = {false};

		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
