/* SPDX-License-Identifier: PostgreSQL */
/*
 * Agents: who stands behind a subject, in which role it votes, whether it may work. A subject that
 * is not registered is its own person, in the role its name tells.
 */
#include "task.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "consensus.h"
#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"

static GaRows
find_agent(const char *tenant, const char *subject)
{
	static GaStmt find =
	    GA_STMT("SELECT role::pg_catalog.text, owner::pg_catalog.text, status::pg_catalog.text"
	            " FROM goldenarch.agents WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, TEXTOID);

	return ga_query(&find, ga_text(tenant), ga_text(subject));
}

char *
ga_agent_person(const char *tenant, const char *subject)
{
	GaRows rows = find_agent(tenant, subject);
	char *owner = rows.count > 0 ? ga_row_text(&rows, 0, 2) : NULL;

	return owner != NULL ? owner : pstrdup(subject);
}

char *
ga_agent_role(const char *tenant, const char *subject)
{
	GaRows rows = find_agent(tenant, subject);

	return rows.count > 0 ? ga_row_text_present(&rows, 0, 1) : ga_consensus_role(subject);
}

void
ga_agent_require_active(const char *tenant, const char *subject, const char *action)
{
	GaRows rows = find_agent(tenant, subject);
	char *status = rows.count > 0 ? ga_row_text_present(&rows, 0, 3) : NULL;
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = action,
	                   .resource_type = "agent",
	                   .resource_id = subject,
	                   .hint = "Someone with agent.configure calls set_agent()."};

	if (status == NULL || strcmp(status, "active") == 0)
		return;
	denial.message = psprintf("agent \"%s\" is %s", subject, status);
	ga_deny(&denial);
}

GA_FUNCTION(ga_sql_set_agent);
Datum
ga_sql_set_agent(PG_FUNCTION_ARGS)
{
	static GaStmt set =
	    GA_STMT("INSERT INTO goldenarch.agents (tenant, id, role, owner, status, metadata)"
	            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, id) DO UPDATE"
	            " SET role = EXCLUDED.role, owner = EXCLUDED.owner, status = EXCLUDED.status,"
	            " metadata = EXCLUDED.metadata",
	            TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID);
	GaCall call;
	char *agent;
	char *role;
	char *owner;
	char *status;
	Jsonb *metadata;
	const char *tenant;

	ga_enter(&call, "agent.configure");
	agent = ga_arg_text_max(fcinfo, 0, "agent", GA_NAME_BYTES, false);
	role = ga_arg_text_max(fcinfo, 1, "role", GA_NAME_BYTES, false);
	owner = ga_arg_text_max(fcinfo, 2, "owner", GA_NAME_BYTES, true);
	status = ga_arg_text(fcinfo, 3, "status");
	if (strcmp(status, "active") != 0 && strcmp(status, "paused") != 0 &&
	    strcmp(status, "retired") != 0)
		ga_bad_argument("status", "It must be active, paused or retired.");
	metadata = ga_task_jsonb_arg(fcinfo, 4, "metadata", true);
	tenant = ga_tenant_for_new_row(call.principal,
	                               PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5)));
	(void) ga_query(&set, ga_text(tenant), ga_text(agent), ga_text(role), ga_text(owner),
	                ga_text(status), ga_jsonb(metadata));
	(void) ga_audit("agent.set", "agent", agent,
	                ga_json_pairs("role", role, "owner", owner, "status", status, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_sql_set_agent_role);
Datum
ga_sql_set_agent_role(PG_FUNCTION_ARGS)
{
	static GaStmt set =
	    GA_STMT("INSERT INTO goldenarch.agent_roles (role, vote_weight) VALUES ($1, $2)"
	            " ON CONFLICT (role) DO UPDATE SET vote_weight = EXCLUDED.vote_weight",
	            TEXTOID, NUMERICOID);
	GaCall call;
	char *role;
	char *shown;
	double weight;

	ga_enter_global(&call, "agent.configure");
	role = ga_arg_text_max(fcinfo, 0, "role", GA_NAME_BYTES, false);
	weight =
	    PG_ARGISNULL(1)
	        ? -1
	        : DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, PG_GETARG_DATUM(1)));
	if (!(weight >= 0 && weight <= 1))
		ga_bad_argument("vote_weight", "It must be from 0 to 1.");
	shown = ga_consensus_show(PG_GETARG_NUMERIC(1));
	(void) ga_query(&set, ga_text(role), ga_passed(1));
	(void) ga_audit("agent_role.set", "agent_role", role,
	                ga_json_pairs("vote_weight", shown, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}
