/* SPDX-License-Identifier: PostgreSQL */
/*
 * Roles as rows: create_role, grant_role, revoke_role, map_role, unmap_role, and what a caller may
 * ask about itself: has_permission, require_permission. What a permission means is judged in
 * rbac.c; this file writes the tables that it reads. Roles, mappings and permissions concern every
 * tenant; a grant concerns one, and an administrator of a tenant may make it there.
 */
#include "goldenarch/query.h"

#include "catalog/pg_type_d.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "gcra.h"
#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/health.h"
#include "goldenarch/jsonbuild.h"
#include "limits.h"
#include "rbac.h"

/* 42704 unless each is a role. Inside ga_enter. */
static void
check_roles(char **roles, int n)
{
	static GaStmt find =
	    GA_STMT("SELECT u.role FROM pg_catalog.unnest($1) u(role) WHERE NOT EXISTS (SELECT 1 FROM "
	            "goldenarch.roles r WHERE r.role OPERATOR(pg_catalog.=) u.role) LIMIT 1",
	            TEXTARRAYOID);
	GaRows rows = ga_query(&find, ga_text_array((const char *const *) roles, n));

	if (rows.count > 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("role \"%s\" does not exist", ga_row_text_present(&rows, 0, 1)),
		                errhint("Create it with goldenarch.create_role().")));
}

static void
check_subject(const char *subject)
{
	if (strlen(subject) > GA_SUBJECT_MAX_BYTES)
		ga_bad_argument("subject", "A subject has at most 256 bytes.");
	if (strcmp(subject, "anonymous") == 0)
		ga_bad_argument("subject", "\"anonymous\" is nobody's name.");
}

static bool
is_word(const char *text, const char *further)
{
	if (!((text[0] >= 'a' && text[0] <= 'z') || text[0] == '_'))
		return false;
	for (; *text; text++)
	{
		if (!((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') || *text == '_' ||
		      strchr(further, *text)))
			return false;
	}
	return true;
}

bool
ga_is_permission(const char *permission)
{
	const char *dot = strchr(permission, '.');

	return strlen(permission) <= GA_PERMISSION_MAX_BYTES && dot && is_word(permission, ".-") &&
	       is_word(dot + 1, ".-") && permission[strlen(permission) - 1] != '.';
}

/* '-' before it denies. */
static void
check_permission(const char *permission)
{
	if (strlen(permission) > GA_PERMISSION_MAX_BYTES ||
	    !ga_is_permission(permission[0] == '-' ? permission + 1 : permission))
		ga_bad_argument("permissions",
		                psprintf("\"%s\" is not of the form part.verb or -part.verb.", permission));
}

static void
put_words(GaJson *json, const char *key, char **words, int n)
{
	ga_json_begin_array_in(json, key);
	for (int i = 0; i < n; i++)
		ga_json_text(json, NULL, words[i]);
	ga_json_end_array(json);
}

static void
check_rate(const char *rate)
{
	int64_t count;
	int64_t period_ns;

	if (rate && !ga_rate_parse(rate, strlen(rate), &count, &period_ns))
		ga_bad_argument("rate_limit", "A rate is a count and a unit of time: '30/minute', '10/s'.");
}

GA_FUNCTION(ga_create_role);
Datum
ga_create_role(PG_FUNCTION_ARGS)
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.roles (role, permissions, inherits, rate_limit) "
	            "VALUES ($1, $2, $3, $4) ON CONFLICT (role) DO NOTHING",
	            TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID);
	GaCall call;
	GaJson details;
	char *role;
	char **permissions;
	char **inherits;
	char *rate;
	int npermissions;
	int ninherits;
	int i;

	ga_enter_global(&call, "system.admin");
	role = ga_arg_text(fcinfo, 0, "role");
	permissions = ga_arg_text_array(fcinfo, 1, "permissions", false, &npermissions);
	inherits = ga_arg_text_array(fcinfo, 2, "inherits", false, &ninherits);
	rate = ga_arg_text_or_null(fcinfo, 3, "rate_limit");
	if (!is_word(role, "-") || strlen(role) >= NAMEDATALEN)
		ga_bad_argument("role", "A role is a lower-case word of at most 63 bytes.");
	if (npermissions > GA_ROLE_PERMISSIONS_MAX || ninherits > GA_ROLE_INHERITS_MAX)
		ga_bad_argument("permissions", "A role has at most 256 permissions and inherits 16 roles.");
	for (i = 0; i < npermissions; i++)
		check_permission(permissions[i]);
	check_rate(rate);
	check_roles(inherits, ninherits);
	if (ga_query(&insert, ga_text(role),
	             ga_text_array((const char *const *) permissions, npermissions),
	             ga_text_array((const char *const *) inherits, ninherits), ga_text(rate))
	        .count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("role \"%s\" already exists", role)));
	ga_json_begin_object(&details);
	put_words(&details, "permissions", permissions, npermissions);
	put_words(&details, "inherits", inherits, ninherits);
	ga_json_text(&details, "rate_limit", rate);
	(void) ga_audit("create_role", "role", role, ga_json_end(&details));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_grant_role);
Datum
ga_grant_role(PG_FUNCTION_ARGS)
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.role_grants (tenant, subject, role, granted_by) "
	            "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	            TEXTOID, TEXTOID, TEXTOID, TEXTOID);
	GaCall call;
	char *subject;
	char *role;
	const char *tenant;

	ga_enter(&call, "system.admin");
	subject = ga_arg_text(fcinfo, 0, "subject");
	role = ga_arg_text(fcinfo, 1, "role");
	tenant = ga_tenant_for_new_row(call.principal, ga_arg_text_or_null(fcinfo, 2, "tenant"));
	check_subject(subject);
	check_roles(&role, 1);
	if (ga_query(&insert, ga_text(tenant), ga_text(subject), ga_text(role),
	             ga_text(call.principal->subject))
	        .count > 0)
		(void) ga_audit("grant_role", "subject", subject,
		                ga_json_pairs("role", role, "tenant", tenant, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_revoke_role);
Datum
ga_revoke_role(PG_FUNCTION_ARGS)
{
	static GaStmt revoke =
	    GA_STMT("DELETE FROM goldenarch.role_grants g WHERE g.tenant OPERATOR(pg_catalog.=) $1 AND "
	            "g.subject OPERATOR(pg_catalog.=) $2 AND g.role OPERATOR(pg_catalog.=) $3",
	            TEXTOID, TEXTOID, TEXTOID);
	GaCall call;
	char *subject;
	char *role;
	const char *tenant;
	bool revoked;

	ga_enter(&call, "system.admin");
	subject = ga_arg_text(fcinfo, 0, "subject");
	role = ga_arg_text(fcinfo, 1, "role");
	tenant = ga_tenant_for_new_row(call.principal, ga_arg_text_or_null(fcinfo, 2, "tenant"));
	revoked = ga_query(&revoke, ga_text(tenant), ga_text(subject), ga_text(role)).count > 0;
	if (revoked)
		(void) ga_audit("revoke_role", "subject", subject,
		                ga_json_pairs("role", role, "tenant", tenant, NULL));
	ga_leave(&call);
	PG_RETURN_BOOL(revoked);
}

static char *
arg_pg_role(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ga_bad_argument("pg_role", "A PostgreSQL role must be named.");
	return pstrdup(NameStr(*PG_GETARG_NAME(0)));
}

/* A PostgreSQL role has one mapping: this looks in every tenant, for system.admin alone. */
static bool
forget_mapping(const char *pg_role)
{
	static GaStmt forget =
	    GA_STMT("DELETE FROM goldenarch.role_mappings m WHERE m.pg_role OPERATOR(pg_catalog.=) $1",
	            TEXTOID);

	return ga_query(&forget, ga_text(pg_role)).count > 0;
}

GA_FUNCTION(ga_map_role);
Datum
ga_map_role(PG_FUNCTION_ARGS)
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) "
	            "VALUES ($1, $2, $3, $4)",
	            TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID);
	GaCall call;
	GaJson details;
	char *pg_role;
	char *subject;
	char **roles;
	const char *tenant;
	int n;

	ga_enter_global(&call, "system.admin");
	pg_role = arg_pg_role(fcinfo);
	subject = ga_arg_text(fcinfo, 1, "subject");
	roles = ga_arg_text_array(fcinfo, 2, "roles", false, &n);
	tenant = ga_tenant_for_new_row(call.principal, ga_arg_text_or_null(fcinfo, 3, "tenant"));
	(void) get_role_oid(pg_role, false);
	check_subject(subject);
	if (n > GA_ROLES_PER_SUBJECT_MAX)
		ga_bad_argument("roles", "A caller has at most 32 roles.");
	check_roles(roles, n);
	(void) forget_mapping(pg_role);
	(void) ga_query(&insert, ga_text(tenant), ga_text(pg_role), ga_text(subject),
	                ga_text_array((const char *const *) roles, n));
	ga_json_begin_object(&details);
	ga_json_text(&details, "subject", subject);
	ga_json_text(&details, "tenant", tenant);
	put_words(&details, "roles", roles, n);
	(void) ga_audit("map_role", "pg_role", pg_role, ga_json_end(&details));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_unmap_role);
Datum
ga_unmap_role(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *pg_role;
	bool found;

	ga_enter_global(&call, "system.admin");
	pg_role = arg_pg_role(fcinfo);
	found = forget_mapping(pg_role);
	if (found)
		(void) ga_audit("unmap_role", "pg_role", pg_role, NULL);
	ga_leave(&call);
	PG_RETURN_BOOL(found);
}

/* health(): what names a PostgreSQL role that is gone, as after a restore elsewhere. */
GaHealth
ga_identity_health(void)
{
	static GaStmt dead = GA_READ(
	    "SELECT COALESCE(pg_catalog.string_agg(DISTINCT n.pg_role, ', ' ORDER BY n.pg_role), '') "
	    "FROM (SELECT m.pg_role::pg_catalog.text FROM goldenarch.role_mappings m UNION ALL "
	    "SELECT a.pg_role::pg_catalog.text FROM goldenarch.access_grants a) n "
	    "WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname::pg_catalog.text "
	    "OPERATOR(pg_catalog.=) n.pg_role)");
	GaRows rows = ga_query(&dead);
	char *names = ga_row_text_present(&rows, 0, 1);

	if (names[0] == '\0')
		return (GaHealth){GA_HEALTH_OK, "every mapped role exists"};
	return (GaHealth){GA_HEALTH_DEGRADED,
	                  psprintf("roles that do not exist are mapped or have access: %s", names)};
}

GA_FUNCTION(ga_sql_has_permission);
Datum
ga_sql_has_permission(PG_FUNCTION_ARGS)
{
	const GaPrincipal *who = ga_principal();

	/* the common case reads the argument where it stands: a policy may ask for each row */
	if (!PG_ARGISNULL(0))
	{
		const text *permission = PG_GETARG_TEXT_PP(0);

		if (VARSIZE_ANY_EXHDR(permission) > 0)
			PG_RETURN_BOOL(
			    ga_has_permission_n(who, VARDATA_ANY(permission), VARSIZE_ANY_EXHDR(permission)));
	}
	PG_RETURN_BOOL(ga_has_permission(who, ga_arg_text(fcinfo, 0, "permission")));
}

GA_FUNCTION(ga_sql_require_permission);
Datum
ga_sql_require_permission(PG_FUNCTION_ARGS)
{
	const GaPrincipal *who = ga_principal();
	int n;
	char **permissions = ga_arg_text_array(fcinfo, 0, "permissions", false, &n);
	int i;

	if (n == 0)
		ga_bad_argument("permissions", "At least one permission must be named.");
	for (i = 0; i < n; i++)
		ga_require_permission(who, permissions[i]);
	PG_RETURN_VOID();
}
