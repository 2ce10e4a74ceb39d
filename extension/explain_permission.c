/* SPDX-License-Identifier: PostgreSQL */
/*
 * explain_permission(): why the caller has a permission, or what takes it or is missing. The answer
 * itself is rbac.c's; this file only reads the same tables again, telling how each role came about,
 * as they stand now. No state, no locks.
 */
#include "goldenarch/query.h"

#include "catalog/pg_type_d.h"
#include "utils/snapmgr.h"

#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "rbac.h"

#define CHAIN_MAX_CHARS "1000"

/* What says something about the permission: by which chain of inheritance, and whence its head. */
static GaRows
find_reasons(const GaPrincipal *who, const char *permission)
{
	static GaStmt find = GA_READ(
	    "WITH RECURSIVE r(role, via, source, granted_by) AS (SELECT u.role, u.role, $6, NULL FROM "
	    "pg_catalog.unnest($1) u(role) UNION ALL SELECT g.role::pg_catalog.text, "
	    "g.role::pg_catalog.text, 'grant', g.granted_by::pg_catalog.text FROM "
	    "goldenarch.role_grants g WHERE g.subject OPERATOR(pg_catalog.=) $2 AND g.tenant "
	    "OPERATOR(pg_catalog.=) $3 AND $4 "
	    "UNION SELECT i.role, r.via OPERATOR(pg_catalog.||) ' > ' OPERATOR(pg_catalog.||) i.role, "
	    "r.source, r.granted_by FROM r JOIN goldenarch.roles d ON d.role OPERATOR(pg_catalog.=) "
	    "r.role, pg_catalog.unnest(d.inherits::pg_catalog.text[]) i(role) "
	    "WHERE pg_catalog.length(r.via) OPERATOR(pg_catalog.<) " CHAIN_MAX_CHARS ") "
	    "SELECT r.via::pg_catalog.text, r.source::pg_catalog.text, r.granted_by::pg_catalog.text, "
	    "p.permission::pg_catalog.text FROM r JOIN goldenarch.roles d ON d.role "
	    "OPERATOR(pg_catalog.=) r.role, pg_catalog.unnest(d.permissions::pg_catalog.text[]) "
	    "p(permission) WHERE p.permission OPERATOR(pg_catalog.=) ANY (ARRAY[$5, '-' "
	    "OPERATOR(pg_catalog.||) $5, 'system.admin']) ORDER BY p.permission OPERATOR(pg_catalog.=) "
	    "('-' OPERATOR(pg_catalog.||) $5) DESC, r.via COLLATE \"C\", r.source COLLATE \"C\", "
	    "p.permission COLLATE \"C\" LIMIT 1000",
	    TEXTARRAYOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID);
	static const char *const sources[] = {[GA_ANONYMOUS] = "anonymous",
	                                      [GA_MAPPED] = "map_role",
	                                      [GA_TOKEN] = "token",
	                                      [GA_ADMIN] = "PostgreSQL role",
	                                      [GA_SYSTEM] = "system"};

	return ga_query(&find, ga_text_array(who->roles, who->nroles), ga_text(who->subject),
	                ga_text(who->tenant), ga_bool(who->kind != GA_ANONYMOUS), ga_text(permission),
	                ga_text(sources[who->kind]));
}

/* Roles that give the permission, themselves or by what they inherit, and do not deny it. */
static GaRows
find_givers(const char *permission)
{
	static GaStmt find = GA_READ(
	    "WITH RECURSIVE c(head, role) AS (SELECT d.role::pg_catalog.text, d.role::pg_catalog.text "
	    "FROM goldenarch.roles d UNION SELECT c.head, i.role FROM c JOIN goldenarch.roles d ON "
	    "d.role OPERATOR(pg_catalog.=) c.role, pg_catalog.unnest(d.inherits::pg_catalog.text[]) "
	    "i(role)) SELECT c.head::pg_catalog.text FROM c JOIN goldenarch.roles d ON d.role "
	    "OPERATOR(pg_catalog.=) c.role, pg_catalog.unnest(d.permissions::pg_catalog.text[]) "
	    "p(permission) GROUP BY c.head HAVING pg_catalog.bool_or(p.permission "
	    "OPERATOR(pg_catalog.=) ANY (ARRAY[$1, 'system.admin'])) AND NOT "
	    "pg_catalog.bool_or(p.permission OPERATOR(pg_catalog.=) ('-' OPERATOR(pg_catalog.||) $1)) "
	    "ORDER BY c.head COLLATE \"C\" LIMIT 100",
	    TEXTOID);

	return ga_query(&find, ga_text(permission));
}

/* Names that the token or the mapping uses for roles, and that are none. */
static GaRows
find_unknown(const GaPrincipal *who)
{
	static GaStmt find =
	    GA_READ("SELECT u.role FROM pg_catalog.unnest($1) u(role) WHERE NOT EXISTS (SELECT 1 FROM "
	            "goldenarch.roles d WHERE d.role OPERATOR(pg_catalog.=) u.role) ORDER BY u.role "
	            "COLLATE \"C\"",
	            TEXTARRAYOID);

	return ga_query(&find, ga_text_array(who->roles, who->nroles));
}

static void
put_names(GaJson *json, const char *key, GaRows rows)
{
	ga_json_begin_array_in(json, key);
	for (uint64 row = 0; row < rows.count; row++)
		ga_json_text(json, NULL, ga_row_text_present(&rows, row, 1));
	ga_json_end_array(json);
}

static void
put_reasons(GaJson *json, GaRows rows)
{
	ga_json_begin_array_in(json, "because");
	for (uint64 row = 0; row < rows.count; row++)
	{
		char *says = ga_row_text_present(&rows, row, 4);
		char *granted_by = ga_row_text(&rows, row, 3);

		ga_json_begin_object_in(json, NULL);
		ga_json_text(json, "role", ga_row_text_present(&rows, row, 1));
		ga_json_text(json, "source", ga_row_text_present(&rows, row, 2));
		if (granted_by)
			ga_json_text(json, "granted_by", granted_by);
		ga_json_text(json, "effect", says[0] == '-' ? "deny" : "allow");
		ga_json_text(json, "permission", says);
		ga_json_end_object(json);
	}
	ga_json_end_array(json);
}

/* Denials stand first, so the first row decides. */
static const char *
verdict(const GaPrincipal *who, GaRows rows)
{
	if (rows.count == 0)
		return who->kind == GA_ANONYMOUS ? "the caller is anonymous"
		                                 : "no role of the caller gives it";
	return psprintf("%s by %s (%s)",
	                ga_row_text_present(&rows, 0, 4)[0] == '-' ? "denied" : "given",
	                ga_row_text_present(&rows, 0, 1), ga_row_text_present(&rows, 0, 2));
}

GA_FUNCTION(ga_explain_permission);
Datum
ga_explain_permission(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaRows reasons;
	GaJson json;
	Jsonb *result;
	char *permission;
	const GaPrincipal *who;
	bool allowed;
	bool latest;

	ga_enter(&call, NULL);
	permission = ga_arg_text(fcinfo, 0, "permission");
	who = call.principal;
	allowed = ga_has_permission(who, permission);
	latest = ga_push_latest_snapshot();
	reasons = find_reasons(who, permission);
	ga_json_begin_object(&json);
	ga_json_text(&json, "permission", permission);
	ga_json_bool(&json, "allowed", allowed);
	ga_json_text(&json, "reason", verdict(who, reasons));
	ga_json_text(&json, "subject", who->subject);
	ga_json_text(&json, "tenant", who->tenant[0] ? who->tenant : NULL);
	ga_json_begin_array_in(&json, "roles");
	for (int i = 0; i < who->nroles; i++)
		ga_json_text(&json, NULL, who->roles[i]);
	ga_json_end_array(&json);
	put_reasons(&json, reasons);
	put_names(&json, "unknown_roles", find_unknown(who));
	if (!allowed)
		put_names(&json, "given_by", find_givers(permission));
	if (latest)
		PopActiveSnapshot();
	result = ga_json_end(&json);
	ga_leave(&call);
	PG_RETURN_JSONB_P(result);
}
