/* SPDX-License-Identifier: PostgreSQL */
/*
 * The end of the install and update scripts, run by the server as the bootstrap superuser.
 *
 * Schema, tables and sequences go to the extension's owner (pg_database_owner when that is a
 * superuser, so that FORCE ROW LEVEL SECURITY means something); functions, types and views stay
 * with the bootstrap superuser, since whoever owns those can crash or take over the server.
 * Privileges that ALTER DEFAULT PRIVILEGES planted are taken away. PUBLIC keeps EXECUTE on the
 * functions whose COMMENT ends in "Permission: none." and that change nothing.
 */
#include "goldenarch/compat.h"

#include "catalog/pg_authid.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "ground.h"

/* Each row of these is one statement to run; identifiers are quoted by the server. */
static GaStmt strip_relations = GA_STMT(
    "SELECT pg_catalog.format('REVOKE ALL ON TABLE goldenarch.%I FROM %s CASCADE', c.relname, "
    "CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC' "
    "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text) END) "
    "FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a "
    "WHERE c.relnamespace OPERATOR(pg_catalog.=) "
    "'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "
    "AND c.relkind OPERATOR(pg_catalog.=) ANY "
    "('{r,p,v,S}'::pg_catalog.text[]::pg_catalog.\"char\"[]) "
    "AND a.grantee OPERATOR(pg_catalog.<>) c.relowner "
    "AND NOT (c.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog.\"char\" AND a.grantee "
    "OPERATOR(pg_catalog.=) 'pg_monitor'::pg_catalog.regrole::pg_catalog.oid)");
static GaStmt strip_functions = GA_STMT(
    "SELECT pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', "
    "p.oid::pg_catalog.regprocedure, "
    "CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC' "
    "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text) END) "
    "FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(COALESCE(p.proacl, "
    "pg_catalog.acldefault('f'::pg_catalog.\"char\", p.proowner))) a "
    "WHERE p.pronamespace OPERATOR(pg_catalog.=) "
    "'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "
    "AND a.grantee OPERATOR(pg_catalog.<>) p.proowner "
    "AND a.grantee OPERATOR(pg_catalog.<>) 'pg_monitor'::pg_catalog.regrole::pg_catalog.oid");
static GaStmt open_functions = GA_STMT(
    "SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', "
    "p.oid::pg_catalog.regprocedure) FROM pg_catalog.pg_proc p "
    "WHERE p.pronamespace OPERATOR(pg_catalog.=) "
    "'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "
    "AND pg_catalog.obj_description(p.oid, 'pg_proc') OPERATOR(pg_catalog.~) 'Permission: "
    "none\\.$' "
    "AND (p.provolatile OPERATOR(pg_catalog.<>) 'v'::pg_catalog.\"char\" OR p.proname "
    "OPERATOR(pg_catalog.=) ANY ('{authenticate,logout}'::pg_catalog.text[]::pg_catalog.name[]))");
static GaStmt own_relations = GA_STMT(
    "SELECT pg_catalog.format('ALTER %s goldenarch.%I OWNER TO %s', "
    "CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S'::pg_catalog.\"char\" THEN 'SEQUENCE' "
    "ELSE 'TABLE' END, c.relname, $1) FROM pg_catalog.pg_class c "
    "WHERE c.relnamespace OPERATOR(pg_catalog.=) "
    "'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "
    "AND c.relkind OPERATOR(pg_catalog.=) ANY "
    "('{r,p,S}'::pg_catalog.text[]::pg_catalog.\"char\"[]) AND NOT EXISTS (SELECT 1 FROM "
    "pg_catalog.pg_depend d WHERE d.classid OPERATOR(pg_catalog.=) "
    "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AND d.objid "
    "OPERATOR(pg_catalog.=) c.oid AND d.deptype OPERATOR(pg_catalog.=) ANY "
    "('{a,i}'::pg_catalog.text[]::pg_catalog.\"char\"[]) AND c.relkind OPERATOR(pg_catalog.=) "
    "'S'::pg_catalog.\"char\")",
    TEXTOID);
static GaStmt grant_owner = GA_STMT(
    "SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s WITH GRANT OPTION', "
    "p.oid::pg_catalog.regprocedure, $1) FROM pg_catalog.pg_proc p WHERE p.pronamespace "
    "OPERATOR(pg_catalog.=) 'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid "
    "UNION ALL SELECT pg_catalog.format('GRANT SELECT ON TABLE goldenarch.%I TO %s WITH GRANT "
    "OPTION', c.relname, $1) FROM pg_catalog.pg_class c WHERE c.relnamespace "
    "OPERATOR(pg_catalog.=) 'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid AND c.relkind "
    "OPERATOR(pg_catalog.=) 'v'::pg_catalog.\"char\"",
    TEXTOID);
static GaStmt mark_seeds = GA_STMT(
    "INSERT INTO goldenarch.pristine_seeds (table_name) SELECT DISTINCT c.relname::pg_catalog.text "
    "FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) "
    "t.tgrelid JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid "
    "WHERE p.proname OPERATOR(pg_catalog.=) 'seed_restore'::pg_catalog.name "
    "AND c.relnamespace OPERATOR(pg_catalog.=) "
    "'goldenarch'::pg_catalog.regnamespace::pg_catalog.oid");

static void
run_all(GaRows rows)
{
	uint64 row;

	for (row = 0; row < rows.count; row++)
		ga_execute(ga_row_text_present(&rows, row, 1));
}

static char *
extension_owner(void)
{
	static GaStmt find = GA_STMT(
	    "SELECT pg_catalog.quote_ident(CASE WHEN r.rolsuper THEN 'pg_database_owner' ELSE "
	    "r.rolname::pg_catalog.text END) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_roles r "
	    "ON r.oid OPERATOR(pg_catalog.=) e.extowner WHERE e.extname OPERATOR(pg_catalog.=) "
	    "'goldenarch'::pg_catalog.name");
	GaRows rows = ga_query(&find);

	if (rows.count != 1)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("extension \"goldenarch\" is not being installed")));
	return ga_row_text_present(&rows, 0, 1);
}

static void
require_script(const char *name)
{
	if (!superuser() || !creating_extension)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("%s is for the extension's scripts", name)));
}

GA_FUNCTION(ga_install_finish);
Datum
ga_install_finish(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *owner;

	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("install_finish is for the extension's scripts")));
	ga_enter_unswitched(&call);
	owner = extension_owner();
	/*
	 * In an update the table is the owner's, with what he hung on it: not to be written as
	 * superuser.
	 */
	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
		(void) ga_query(&mark_seeds);
	run_all(ga_query(&strip_relations));
	run_all(ga_query(&strip_functions));
	run_all(ga_query(&open_functions));
	run_all(ga_query(&grant_owner, ga_text(owner)));
	run_all(ga_query(&own_relations, ga_text(owner)));
	ga_execute(psprintf("ALTER SCHEMA goldenarch OWNER TO %s", owner));
	ga_execute("GRANT USAGE ON SCHEMA goldenarch TO PUBLIC");
	ga_leave(&call);
	PG_RETURN_VOID();
}

/*
 * One statement of an update script, as the owner and under SECURITY_RESTRICTED_OPERATION. An
 * update runs as superuser over tables that the owner controls: a trigger, a CHECK, a swapped view
 * of his would run as superuser too. Update scripts create this function first and drop it last.
 */
GA_FUNCTION(ga_upgrade_step);
Datum
ga_upgrade_step(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *statement;

	require_script("upgrade_step");
	statement = ga_arg_text(fcinfo, 0, "statement");
	ga_enter_as(&call, &ga_system_principal);
	ga_execute(statement);
	ga_leave(&call);
	PG_RETURN_VOID();
}

/* What every dump sets before it loads data, and nobody else does by chance. */
bool
ga_restoring(void)
{
	const char *path = GetConfigOption("search_path", false, false);
	const char *row_security = GetConfigOption("row_security", false, false);

	return (path[0] == '\0' || strcmp(path, "\"\"") == 0) && strcmp(row_security, "off") == 0;
}

/*
 * BEFORE INSERT, FOR EACH STATEMENT, on every table with shipped rows: the first load of a dump
 * replaces the rows the install script has just made, so that what a user edited or deleted stays
 * so. Acts once a table, and only on rows marked as shipped.
 */
GA_FUNCTION(ga_seed_restore);
Datum
ga_seed_restore(PG_FUNCTION_ARGS)
{
	static GaStmt take = GA_STMT("DELETE FROM goldenarch.pristine_seeds s WHERE s.table_name "
	                             "OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	GaCall call;
	char *table;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
	    !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("seed_restore must be a statement trigger before insert")));
	if (ga_inside_call() || !ga_restoring())
		return PointerGetDatum(NULL);
	table = NameStr(trigger->tg_relation->rd_rel->relname);
	ga_enter_as(&call, &ga_system_principal);
	if (ga_query(&take, ga_text(table)).count == 1)
		ga_execute(psprintf("DELETE FROM goldenarch.%s WHERE shipped", quote_identifier(table)));
	ga_leave(&call);
	return PointerGetDatum(NULL);
}
