/* SPDX-License-Identifier: PostgreSQL */
/*
 * grant_access, revoke_access, repair_grants: object privileges for a PostgreSQL role, never a
 * membership, so that no cluster role is needed and nobody gains the owner's rights.
 *
 *	app       EXECUTE on every function but those for triggers, scripts and the executor, SELECT on
 *	          views and on tables under row security; each function then asks for its permission
 *	executor  EXECUTE on the functions whose COMMENT says "Access: executor."
 *	monitor   SELECT on the views of operations, EXECUTE on what pg_monitor may call
 *
 * What was granted is a row too: a dump restored elsewhere, and an upgrade that brought new
 * functions, are made good by repair_grants().
 */
#include "goldenarch/query.h"

#include "catalog/pg_type_d.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"

#define IN_SCHEMA " OPERATOR(pg_catalog.=) 'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "

/* Each row: an object to grant on, quoted by the server. $1: app, executor or monitor. */
static GaStmt functions_of =
    GA_STMT("SELECT 'EXECUTE ON FUNCTION ' OPERATOR(pg_catalog.||) "
            "p.oid::pg_catalog.regprocedure::pg_catalog.text FROM pg_catalog.pg_proc p, "
            "pg_catalog.obj_description(p.oid, 'pg_proc') c(says) WHERE p.pronamespace" IN_SCHEMA
            "AND p.prorettype OPERATOR(pg_catalog.<>) 'pg_catalog.trigger'::pg_catalog.regtype::"
            "pg_catalog.oid AND c.says OPERATOR(pg_catalog.~) 'Permission: ' "
            "AND CASE $1 WHEN 'executor' THEN c.says OPERATOR(pg_catalog.~) '(executor''s role "
            "alone|Access: executor)' "
            "WHEN 'monitor' THEN c.says OPERATOR(pg_catalog.~) 'For members of pg_monitor' ELSE "
            "c.says OPERATOR(pg_catalog.!~) '(executor''s role "
            "alone|Access: executor)' END "
            "ORDER BY p.oid",
            TEXTOID);
static GaStmt relations_of = GA_STMT(
    "SELECT pg_catalog.format('SELECT ON TABLE goldenarch.%I', c.relname) "
    "FROM pg_catalog.pg_class c WHERE c.relnamespace" IN_SCHEMA
    "AND CASE $1 WHEN 'app' THEN c.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog.\"char\" OR "
    "(c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.text[]::pg_catalog.\"char\"[]) "
    "AND NOT c.relispartition AND (EXISTS (SELECT 1 FROM pg_catalog.pg_policy y WHERE y.polrelid "
    "OPERATOR(pg_catalog.=) c.oid AND c.relrowsecurity) OR pg_catalog.obj_description(c.oid, "
    "'pg_class') OPERATOR(pg_catalog.~) 'Access: app\\.')) "
    "WHEN 'monitor' THEN c.relname OPERATOR(pg_catalog.=) ANY "
    "('{metrics,slo_status,bridge_status,circuit_breakers,sandbox_executors}'::pg_catalog.text[]::"
    "pg_catalog.name[]) ELSE false END ORDER BY c.oid",
    TEXTOID);

static void
run_all(GaRows rows, const char *verb, const char *preposition, const char *pg_role)
{
	const char *quoted = quote_identifier(pg_role);
	uint64 row;

	for (row = 0; row < rows.count; row++)
		ga_execute(
		    psprintf("%s %s %s %s", verb, ga_row_text_present(&rows, row, 1), preposition, quoted));
}

static void
apply(const char *pg_role, const char *access)
{
	run_all(ga_query(&functions_of, ga_text(access)), "GRANT", "TO", pg_role);
	run_all(ga_query(&relations_of, ga_text(access)), "GRANT", "TO", pg_role);
	ga_execute(psprintf("GRANT USAGE ON SCHEMA goldenarch TO %s", quote_identifier(pg_role)));
}

static void
read_arguments(FunctionCallInfo fcinfo, char **pg_role, char **access)
{
	if (PG_ARGISNULL(0))
		ga_bad_argument("pg_role", "A PostgreSQL role must be named.");
	*pg_role = pstrdup(NameStr(*PG_GETARG_NAME(0)));
	*access = ga_arg_text(fcinfo, 1, "access");
	if (strcmp(*access, "app") != 0 && strcmp(*access, "executor") != 0 &&
	    strcmp(*access, "monitor") != 0)
		ga_bad_argument("access", "One of app, executor, monitor.");
}

GA_FUNCTION(ga_grant_access);
Datum
ga_grant_access(PG_FUNCTION_ARGS)
{
	static GaStmt remember = GA_STMT("INSERT INTO goldenarch.access_grants (pg_role, access) "
	                                 "VALUES ($1, $2) ON CONFLICT DO NOTHING",
	                                 TEXTOID, TEXTOID);
	GaCall call;
	char *pg_role;
	char *access;

	ga_enter_global(&call, "system.admin");
	read_arguments(fcinfo, &pg_role, &access);
	(void) get_role_oid(pg_role, false);
	apply(pg_role, access);
	if (ga_query(&remember, ga_text(pg_role), ga_text(access)).count > 0)
		(void) ga_audit("grant_access", "pg_role", pg_role, ga_json_pairs("access", access, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}

/* What another access of the same role needs stays. */
static void
take_back(const char *pg_role, const char *access)
{
	static GaStmt others = GA_STMT("SELECT a.access::pg_catalog.text FROM goldenarch.access_grants "
	                               "a WHERE a.pg_role OPERATOR(pg_catalog.=) $1",
	                               TEXTOID);
	GaRows rows = ga_query(&others, ga_text(pg_role));
	uint64 row;

	run_all(ga_query(&functions_of, ga_text(access)), "REVOKE", "FROM", pg_role);
	run_all(ga_query(&relations_of, ga_text(access)), "REVOKE", "FROM", pg_role);
	if (rows.count == 0)
		ga_execute(
		    psprintf("REVOKE USAGE ON SCHEMA goldenarch FROM %s", quote_identifier(pg_role)));
	for (row = 0; row < rows.count; row++)
		apply(pg_role, ga_row_text_present(&rows, row, 1));
}

GA_FUNCTION(ga_revoke_access);
Datum
ga_revoke_access(PG_FUNCTION_ARGS)
{
	static GaStmt forget = GA_STMT(
	    "DELETE FROM goldenarch.access_grants a WHERE a.pg_role OPERATOR(pg_catalog.=) $1 AND "
	    "a.access OPERATOR(pg_catalog.=) $2",
	    TEXTOID, TEXTOID);
	GaCall call;
	char *pg_role;
	char *access;

	ga_enter_global(&call, "system.admin");
	read_arguments(fcinfo, &pg_role, &access);
	if (ga_query(&forget, ga_text(pg_role), ga_text(access)).count > 0)
	{
		/* a role that is gone left nothing to revoke but the row */
		if (OidIsValid(get_role_oid(pg_role, true)))
			take_back(pg_role, access);
		(void) ga_audit("revoke_access", "pg_role", pg_role, ga_json_pairs("access", access, NULL));
	}
	else
		(void) get_role_oid(pg_role, false);
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_repair_grants);
Datum
ga_repair_grants(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_STMT(
	    "SELECT a.pg_role::pg_catalog.text, a.access::pg_catalog.text FROM "
	    "goldenarch.access_grants a ORDER BY a.pg_role USING OPERATOR(pg_catalog.<), a.access");
	GaCall call;
	GaRows rows;
	int repaired = 0;
	uint64 row;

	(void) fcinfo;
	ga_enter_global(&call, "system.admin");
	rows = ga_query(&find);
	for (row = 0; row < rows.count; row++)
	{
		char *pg_role = ga_row_text_present(&rows, row, 1);

		if (!OidIsValid(get_role_oid(pg_role, true)))
		{
			ereport(NOTICE, (errmsg("role \"%s\" does not exist and is left out", pg_role)));
			continue;
		}
		apply(pg_role, ga_row_text_present(&rows, row, 2));
		repaired++;
	}
	(void) ga_audit("repair_grants", "access", "-", NULL);
	ga_leave(&call);
	PG_RETURN_INT32(repaired);
}
