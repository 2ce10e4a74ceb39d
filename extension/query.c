/* SPDX-License-Identifier: PostgreSQL */
/*
 * The only caller of SPI, and the switch between the caller's rights and the owner's
 * (goldenarch/query.h is the contract).
 *
 * State: the stack of running calls. An abort of the (sub)transaction a call was
 * entered in drops it; the server itself restores user, security context, settings and SPI. No
 * locks. Plans are kept for the life of the backend; the plan cache re-plans them when a table or
 * the user changes.
 */
#include "goldenarch/query.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "goldenarch/audit.h"
#include "ground.h"

#define SAFE_PATH "pg_catalog, pg_temp"

/*
 * The running calls, outermost first. What an abort needs stands here and not in the GaCall: that
 * lies in a stack frame which the error has already left.
 */
#define CALL_DEPTH_MAX 64
static struct
{
	GaCall *call;
	int nest_level; /* transaction nesting at entry */
} calls[CALL_DEPTH_MAX];
static int call_depth;

static GaCall *
current_call(void)
{
	return call_depth > 0 ? calls[call_depth - 1].call : NULL;
}

bool
ga_inside_call(void)
{
	return call_depth > 0;
}

const GaPrincipal *
ga_principal(void)
{
	return call_depth > 0 ? current_call()->principal : ga_compute_principal();
}

bool
ga_installed(void)
{
	return OidIsValid(get_namespace_oid("goldenarch", true));
}

Oid
ga_owner(void)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("goldenarch"));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
		        (errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("schema \"goldenarch\" does not exist"),
		         errhint("Run CREATE EXTENSION goldenarch in this database; its schema must "
		                 "keep its name.")));
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Common part of entering. The path is pinned even where operators are qualified: types are not. */
static void
enter(GaCall *call, const GaPrincipal *who, bool switched)
{
	if (call_depth == CALL_DEPTH_MAX)
		ereport(ERROR, (errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
		                errmsg("calls of goldenarch functions are nested too deeply")));
	call->result_context = CurrentMemoryContext;
	call->principal = who;
	GetUserIdAndSecContext(&call->save_userid, &call->save_sec_context);
	if (switched)
		SetUserIdAndSecContext(ga_owner(), call->save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
		                                       SECURITY_RESTRICTED_OPERATION);
	call->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", SAFE_PATH, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
	                         true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	/* SPI frees its own context in ga_leave: what a function allocates must outlive that. */
	MemoryContextSwitchTo(call->result_context);
	calls[call_depth].call = call;
	calls[call_depth++].nest_level = GetCurrentTransactionNestLevel();
}

void
ga_enter_as(GaCall *call, const GaPrincipal *who)
{
	enter(call, who, true);
}

void
ga_enter_unswitched(GaCall *call)
{
	enter(call, &ga_system_principal, false);
}

void
ga_enter(GaCall *call, const char *permission)
{
	const GaPrincipal *who = ga_principal();

	if (permission)
		ga_require_permission(who, permission);
	enter(call, who, true);
}

void
ga_enter_global(GaCall *call, const char *permission)
{
	ga_enter(call, permission);
	ga_require_global(call->principal, permission);
}

void
ga_leave(GaCall *call)
{
	Assert(current_call() == call);
	call_depth--;
	SPI_finish();
	AtEOXact_GUC(true, call->guc_level);
	SetUserIdAndSecContext(call->save_userid, call->save_sec_context);
}

void
ga_worker_begin(GaCall *call)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	enter(call, &ga_system_principal, true);
}

/* Commits while still switched: a deferred trigger that the owner planted runs as the owner. */
void
ga_worker_commit(GaCall *call)
{
	Assert(current_call() == call);
	call_depth--;
	SPI_finish();
	AtEOXact_GUC(true, call->guc_level);
	PopActiveSnapshot();
	CommitTransactionCommand();
	SetUserIdAndSecContext(call->save_userid, call->save_sec_context);
}

static void
forget_calls(int nest_level)
{
	while (call_depth > 0 && calls[call_depth - 1].nest_level >= nest_level)
		call_depth--;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		forget_calls(0);
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	(void) mine;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_calls(GetCurrentTransactionNestLevel());
}

void
ga_query_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

static void
prepare(GaStmt *stmt)
{
	SPIPlanPtr plan =
	    SPI_prepare_cursor(stmt->sql, stmt->nargs, stmt->argtypes, CURSOR_OPT_GENERIC_PLAN);

	if (!plan || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", stmt->sql, SPI_result_code_string(SPI_result));
	stmt->plan = plan;
}

GaRows
ga_query_args(GaStmt *stmt, const GaArg *args, int nargs)
{
	Datum values[GA_STMT_MAX_ARGS];
	char nulls[GA_STMT_MAX_ARGS];
	MemoryContext context = CurrentMemoryContext;
	GaRows rows;
	int code;
	int i;

	if (call_depth == 0 || nargs != stmt->nargs)
		elog(ERROR, "statement with %d of %d arguments: \"%s\"", nargs, stmt->nargs, stmt->sql);
	for (i = 0; i < nargs; i++)
	{
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	if (!stmt->plan)
		prepare(stmt);
	code = SPI_execute_plan(stmt->plan, values, nulls, stmt->read_only, 0);
	MemoryContextSwitchTo(context);
	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", stmt->sql, SPI_result_code_string(code));
	rows.count = SPI_processed;
	rows.table = SPI_tuptable;
	return rows;
}

GaRows
ga_query_once_args(GaStmt *stmt, const GaArg *args, int nargs)
{
	GaRows rows = ga_query_args(stmt, args, nargs);

	(void) SPI_freeplan(stmt->plan);
	stmt->plan = NULL;
	return rows;
}

void
ga_rows_free(GaRows *rows)
{
	SPI_freetuptable(rows->table);
	rows->table = NULL;
	rows->count = 0;
}

void
ga_execute(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	int code;

	if (call_depth == 0)
		elog(ERROR, "statement outside of a call: \"%s\"", sql);
	code = SPI_execute(sql, false, 0);
	MemoryContextSwitchTo(context);
	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", sql, SPI_result_code_string(code));
}

bool
ga_try(void (*body)(void *arg), void *arg, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int depth = call_depth;
	volatile bool ok = false;

	*error = NULL;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
		ok = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		*error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	call_depth = depth;
	if (!ok && (*error)->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(*error);
	return ok;
}

GaArg
ga_text_n(const char *s, size_t len)
{
	if (!s)
		return ga_null();
	return (GaArg){PointerGetDatum(cstring_to_text_with_len(s, (int) len)), false};
}

GaArg
ga_text(const char *s)
{
	return ga_text_n(s, s ? strlen(s) : 0);
}

GaArg
ga_text_array(const char *const *items, int n)
{
	Datum *values = palloc(sizeof(Datum) * Max(n, 1));
	int i;

	for (i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(items[i]);
	return (GaArg){PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT)),
	               false};
}

GaArg
ga_bytea(const void *bytes, size_t len)
{
	bytea *value;

	if (!bytes)
		return ga_null();
	value = palloc(VARHDRSZ + len);
	SET_VARSIZE(value, VARHDRSZ + len);
	memcpy(VARDATA(value), bytes, len);
	return (GaArg){PointerGetDatum(value), false};
}

/* The one place a stored value is read: the type is what the C code expects, or XX000. */
static Datum
column(const GaRows *rows, uint64 row, int col, Oid type, bool *isnull)
{
	if (row >= rows->count || !rows->table)
		elog(ERROR, "row " UINT64_FORMAT " of " UINT64_FORMAT, row, rows->count);
	if (SPI_gettypeid(rows->table->tupdesc, col) != type)
		elog(ERROR, "column %d has type %u where %u is expected", col,
		     SPI_gettypeid(rows->table->tupdesc, col), type);
	return SPI_getbinval(rows->table->vals[row], rows->table->tupdesc, col, isnull);
}

static Datum
column_not_null(const GaRows *rows, uint64 row, int col, Oid type)
{
	bool isnull;
	Datum value = column(rows, row, col, type, &isnull);

	if (isnull)
		elog(ERROR, "column %d is null", col);
	return value;
}

bool
ga_row_isnull(const GaRows *rows, uint64 row, int col)
{
	bool isnull;

	(void) column(rows, row, col, SPI_gettypeid(rows->table->tupdesc, col), &isnull);
	return isnull;
}

Datum
ga_row_datum(const GaRows *rows, uint64 row, int col, Oid type, bool *isnull)
{
	MemoryContext old;
	int16 len;
	bool byval;
	Datum value = column(rows, row, col, type, isnull);

	if (*isnull)
		return (Datum) 0;
	get_typlenbyval(type, &len, &byval);
	old = MemoryContextSwitchTo(current_call()->result_context);
	if (len == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	else
		value = datumCopy(value, byval, len);
	MemoryContextSwitchTo(old);
	return value;
}

char *
ga_row_text(const GaRows *rows, uint64 row, int col)
{
	bool isnull;
	Datum value = column(rows, row, col, TEXTOID, &isnull);
	MemoryContext old;
	char *result;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(current_call()->result_context);
	result = TextDatumGetCString(value);
	MemoryContextSwitchTo(old);
	return result;
}

char *
ga_row_text_present(const GaRows *rows, uint64 row, int col)
{
	(void) column_not_null(rows, row, col, TEXTOID);
	return ga_row_text(rows, row, col);
}

Jsonb *
ga_row_jsonb(const GaRows *rows, uint64 row, int col)
{
	bool isnull;
	Datum value = ga_row_datum(rows, row, col, JSONBOID, &isnull);

	return isnull ? NULL : DatumGetJsonbP(value);
}

bytea *
ga_row_bytea(const GaRows *rows, uint64 row, int col)
{
	bool isnull;
	Datum value = ga_row_datum(rows, row, col, BYTEAOID, &isnull);

	return isnull ? NULL : DatumGetByteaP(value);
}

Jsonb *
ga_row_jsonb_present(const GaRows *rows, uint64 row, int col)
{
	(void) column_not_null(rows, row, col, JSONBOID);
	return ga_row_jsonb(rows, row, col);
}

bytea *
ga_row_bytea_present(const GaRows *rows, uint64 row, int col)
{
	(void) column_not_null(rows, row, col, BYTEAOID);
	return ga_row_bytea(rows, row, col);
}

pg_uuid_t *
ga_row_uuid_present(const GaRows *rows, uint64 row, int col)
{
	(void) column_not_null(rows, row, col, UUIDOID);
	return ga_row_uuid(rows, row, col);
}

pg_uuid_t *
ga_row_uuid(const GaRows *rows, uint64 row, int col)
{
	bool isnull;
	Datum value = ga_row_datum(rows, row, col, UUIDOID, &isnull);

	return isnull ? NULL : DatumGetUUIDP(value);
}

char **
ga_row_text_array(const GaRows *rows, uint64 row, int col, int *n)
{
	bool isnull;
	Datum value = ga_row_datum(rows, row, col, TEXTARRAYOID, &isnull);
	MemoryContext old;
	Datum *items;
	bool *nulls;
	char **result;
	int i;

	*n = 0;
	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(current_call()->result_context);
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls,
	                  n);
	result = palloc(sizeof(char *) * (*n + 1));
	for (i = 0; i < *n; i++)
		result[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(items[i]);
	result[*n] = NULL;
	MemoryContextSwitchTo(old);
	return result;
}

int64
ga_row_int8(const GaRows *rows, uint64 row, int col)
{
	return DatumGetInt64(column_not_null(rows, row, col, INT8OID));
}

int32
ga_row_int4(const GaRows *rows, uint64 row, int col)
{
	return DatumGetInt32(column_not_null(rows, row, col, INT4OID));
}

bool
ga_row_bool(const GaRows *rows, uint64 row, int col)
{
	return DatumGetBool(column_not_null(rows, row, col, BOOLOID));
}

double
ga_row_float8(const GaRows *rows, uint64 row, int col)
{
	return DatumGetFloat8(column_not_null(rows, row, col, FLOAT8OID));
}

TimestampTz
ga_row_timestamp(const GaRows *rows, uint64 row, int col)
{
	return DatumGetTimestampTz(column_not_null(rows, row, col, TIMESTAMPTZOID));
}
