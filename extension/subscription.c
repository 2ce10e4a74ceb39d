/* SPDX-License-Identifier: PostgreSQL */
/*
 * Subscriptions: which handler gets what, and whose rights it runs with: those of the PostgreSQL
 * role that called subscribe(), never ours. Here the handler is only looked up and its EXECUTE
 * checked; the ingest worker, connected as that role, checks again at every call.
 */
#include "goldenarch/query.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "goldenarch/audit.h"
#include "goldenarch/bridge.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/queue.h"
#include "limits.h"
#include "subject.h"

GA_FUNCTION(ga_subscribe);
GA_FUNCTION(ga_unsubscribe);

#define BACKOFF_MAX 20
#define ACK_WAIT_MIN_US (INT64CONST(1) * USECS_PER_SEC)
#define ACK_WAIT_MAX_US (INT64CONST(3600) * USECS_PER_SEC)

static const char *
read_token(FunctionCallInfo fcinfo, int n, const char *name, bool lower)
{
	const char *token = ga_arg_text(fcinfo, n, name);
	const char *c;

	if (strlen(token) > 50)
		ga_bad_argument(name, "At most 50 characters are allowed.");
	for (c = token; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (!lower && *c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '_' || *c == '-'))
			ga_bad_argument(name, lower
			                          ? "Only a-z, 0-9, hyphen and underscore are allowed."
			                          : "Only letters, digits, hyphen and underscore are allowed.");
	return token;
}

static const char *
read_pattern(FunctionCallInfo fcinfo, int n)
{
	const char *pattern = ga_arg_text(fcinfo, n, "subject");
	const char *problem = ga_subject_pattern_problem(pattern, strlen(pattern));

	if (problem)
		ga_bad_argument("subject", psprintf("The subject %s.", problem));
	return pattern;
}

static void
check_backoff(FunctionCallInfo fcinfo, int n)
{
	Datum *items;
	bool *nulls;
	int count;
	int i;

	if (PG_ARGISNULL(n))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), INTERVALOID, sizeof(Interval), false,
	                  TYPALIGN_DOUBLE, &items, &nulls, &count);
	if (count < 1 || count > BACKOFF_MAX)
		ga_bad_argument("backoff", psprintf("It has 1 to %d waits.", BACKOFF_MAX));
	for (i = 0; i < count; i++)
	{
		Interval *wait = nulls[i] ? NULL : DatumGetIntervalP(items[i]);

		if (!wait || wait->month != 0 || wait->day < 0 || wait->day > 7 || wait->time < 0 ||
		    wait->time > 7 * USECS_PER_DAY)
			ga_bad_argument("backoff", "Each wait is between zero and 7 days, without months.");
	}
}

/* The handler's qualified, quoted name. The caller's own EXECUTE on it was checked before entry. */
static char *
handler_name(Oid handler)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(handler));
	Form_pg_proc proc;
	Oid message;
	char *name;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
		                errmsg("handler with oid %u does not exist", handler)));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	message = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("message"),
	                          ObjectIdGetDatum(get_namespace_oid("goldenarch", false)));
	if (proc->prokind != PROKIND_FUNCTION || proc->pronargs != 1 ||
	    proc->proargtypes.values[0] != message || proc->prorettype != VOIDOID || proc->proretset)
		ereport(ERROR,
		        (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		         errmsg("function %s is not a message handler", NameStr(proc->proname)),
		         errhint("A handler is a function (goldenarch.message) that returns void.")));
	name =
	    quote_qualified_identifier(get_namespace_name(proc->pronamespace), NameStr(proc->proname));
	ReleaseSysCache(tuple);
	return name;
}

static Oid
function_owner(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* Who can write our tables: pg_database_owner has one member, the owner of the database. */
static Oid
tables_owner(void)
{
	Oid owner = ga_owner();
	HeapTuple tuple;

	if (owner != ROLE_PG_DATABASE_OWNER)
		return owner;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}

bool
ga_handler_trusted(Oid handler, Oid role)
{
	Oid owner = function_owner(handler);

	return OidIsValid(owner) &&
	       (owner == role || superuser_arg(owner) || has_privs_of_role(tables_owner(), role));
}

/* As the role that called us: may it run the handler, and can a worker connect as it? */
static void
check_role(Oid role, Oid handler)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool can_login;
	Datum may;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role %u does not exist", role)));
	can_login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (!can_login)
		ereport(
		    ERROR,
		    (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		     errmsg("role \"%s\" cannot log in", GetUserNameFromId(role, false)),
		     errdetail("The handler runs in a worker that connects as the role that subscribed."),
		     errhint("Subscribe as a role with LOGIN.")));
	may = DirectFunctionCall3(has_function_privilege_id_id, ObjectIdGetDatum(role),
	                          ObjectIdGetDatum(handler), CStringGetTextDatum("EXECUTE"));
	if (!DatumGetBool(may))
		ga_deny(&(GaDenial){
		    .sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
		    .action = "message.subscribe",
		    .resource_type = "function",
		    .resource_id = get_func_name(handler),
		    .message = psprintf("permission denied for function %s", get_func_name(handler))});
}

static void
check_trust(Oid handler, Oid role)
{
	if (!ga_handler_trusted(handler, role))
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("handler %s does not belong to role \"%s\"", get_func_name(handler),
		                GetUserNameFromId(role, false)),
		         errdetail("The owner of goldenarch's tables could otherwise have any function run"
		                   " with the role's rights."),
		         errhint("Let the role that subscribes own the function.")));
}

static void
store(FunctionCallInfo fcinfo, const GaCall *call, const char *name, const char *handler)
{
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.subscriptions AS s (name, stream, subject, handler, pg_role,"
	    " max_deliver, ack_wait, backoff, batch, durable, ack_floor, created_by, created_at)"
	    " VALUES ($1, $2, $3, $4, $5::pg_catalog.name, $6, $7, $8, $9, $10, 0, $11,"
	    " pg_catalog.clock_timestamp())"
	    " ON CONFLICT (name) DO UPDATE SET stream = excluded.stream, subject = excluded.subject,"
	    " handler = excluded.handler, pg_role = excluded.pg_role,"
	    " max_deliver = excluded.max_deliver, ack_wait = excluded.ack_wait,"
	    " backoff = excluded.backoff, batch = excluded.batch, created_by = excluded.created_by,"
	    " durable = CASE WHEN s.stream OPERATOR(pg_catalog.=) excluded.stream"
	    "  AND s.subject OPERATOR(pg_catalog.=) excluded.subject THEN s.durable"
	    "  ELSE excluded.durable END,"
	    " ack_floor = CASE WHEN s.stream OPERATOR(pg_catalog.=) excluded.stream"
	    "  AND s.subject OPERATOR(pg_catalog.=) excluded.subject THEN s.ack_floor ELSE 0 END",
	    TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INTERVALOID, INTERVALARRAYOID,
	    INT4OID, TEXTOID, TEXTOID);
	const char *stream = read_token(fcinfo, 1, "stream", false);
	const char *subject = read_pattern(fcinfo, 2);
	int32 max_deliver = ga_arg_int4(fcinfo, 4, "max_deliver", 1, GA_DELIVER_MAX);
	int64 ack_wait = ga_arg_interval_us(fcinfo, 5, "ack_wait", false);
	int32 batch;
	uint32 suffix;

	if (ack_wait < ACK_WAIT_MIN_US || ack_wait > ACK_WAIT_MAX_US)
		ga_bad_argument("ack_wait", "It must be between 1 second and 1 hour.");
	check_backoff(fcinfo, 6);
	batch = ga_arg_int4(fcinfo, 7, "batch", 1, 500);
	/* Two databases on one server of NATS must not share a consumer: each would get half. */
	if (!pg_strong_random(&suffix, sizeof(suffix)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no randomness is available")));
	ga_query(&upsert, ga_text(name), ga_text(stream), ga_text(subject), ga_text(handler),
	         ga_text(GetUserNameFromId(call->principal->pg_role, false)), ga_int4(max_deliver),
	         ga_passed(5), ga_passed(6), ga_int4(batch), ga_text(psprintf("%s_%08x", name, suffix)),
	         ga_text(call->principal->subject));
}

/* subscribe(name, stream, subject, handler, max_deliver, ack_wait, backoff, batch) -> void */
Datum
ga_subscribe(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *name;
	char *handler;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("subscribe");
	name = read_token(fcinfo, 0, "name", true);
	if (PG_ARGISNULL(3))
		ga_bad_argument("handler", "It must not be null.");
	handler = handler_name(PG_GETARG_OID(3));
	check_role(call.principal->pg_role, PG_GETARG_OID(3));
	check_trust(PG_GETARG_OID(3), call.principal->pg_role);
	store(fcinfo, &call, name, handler);
	ga_audit("message.subscribe", "subscription", name,
	         ga_json_pairs("handler", handler, "pg_role",
	                       GetUserNameFromId(call.principal->pg_role, false), NULL));
	ga_wake_at_commit(GA_WORKER_INGEST);
	ga_leave(&call);
	PG_RETURN_VOID();
}

/* unsubscribe(name text) -> boolean */
Datum
ga_unsubscribe(PG_FUNCTION_ARGS)
{
	static GaStmt delete = GA_STMT(
	    "DELETE FROM goldenarch.subscriptions WHERE name OPERATOR(pg_catalog.=) $1", TEXTOID);
	static GaStmt forget = GA_STMT(
	    "DELETE FROM goldenarch.delivery_attempts WHERE subscription OPERATOR(pg_catalog.=) $1",
	    TEXTOID);
	GaCall call;
	const char *name;
	bool found;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("unsubscribe");
	name = ga_arg_text(fcinfo, 0, "name");
	found = ga_query(&delete, ga_text(name)).count > 0;
	if (found)
	{
		ga_query(&forget, ga_text(name));
		ga_audit("message.unsubscribe", "subscription", name, NULL);
		ga_wake_at_commit(GA_WORKER_INGEST);
	}
	ga_leave(&call);
	PG_RETURN_BOOL(found);
}
