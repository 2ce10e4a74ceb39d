/* SPDX-License-Identifier: PostgreSQL */
/*
 * The only caller of SPI, and the pair that decides whose rights our SQL runs with.
 *
 *	GaCall call;
 *	static GaStmt find = GA_STMT("SELECT ... WHERE k OPERATOR(pg_catalog.=) $1", TEXTOID);
 *
 *	ga_enter(&call, "budget.use");          -- permission first: a denial is durable, then 42501
 *	rows = ga_query(&find, ga_text(name));
 *	if (rows.count > 0)
 *		n = ga_row_int8(&rows, 0, 1);
 *	ga_leave(&call);
 *
 * ga_enter pins the caller's principal, switches to the extension's owner under
 * SECURITY_RESTRICTED_OPERATION, pins search_path and connects SPI. An ERROR in between needs no
 * cleanup: the (sub)transaction's abort restores user, settings, SPI and pin. A PG_CATCH that
 * swallows an error inside must be a subtransaction (ga_try).
 *
 * Strings, bytes and jsonb that the ga_row_* readers return live in the memory context that was
 * current at ga_enter, so they outlive ga_leave. That context stays the current one in between, so
 * whatever a function allocates there does, too. Readers raise XX000 when a column's type is not
 * the one asked for, or where a null stands and the reader has no null to give: a table's value is
 * hostile input. Columns count from 1, rows from 0. SQL text is fixed, fully qualified, every
 * column cast.
 */
#ifndef GOLDENARCH_QUERY_H
#define GOLDENARCH_QUERY_H

#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "goldenarch/compat.h"
#include "goldenarch/principal.h"

#define GA_STMT_MAX_ARGS 24

typedef struct GaStmt
{
	const char *sql;
	bool read_only; /* sees the caller's snapshot: for STABLE functions */
	int nargs;
	Oid argtypes[GA_STMT_MAX_ARGS];
	SPIPlanPtr plan; /* kept for the life of the backend */
} GaStmt;

#define GA_STMT_(text, ro, ...)                                                             \
	{                                                                                       \
		.sql = (text), .read_only = (ro),                                                   \
		.nargs = (int) (sizeof((Oid[]){0, ##__VA_ARGS__}) / sizeof(Oid)) - 1, .argtypes = { \
			__VA_ARGS__                                                                     \
		}                                                                                   \
	}
/* A statement with a fresh snapshot (what VOLATILE functions need). */
#define GA_STMT(text, ...) GA_STMT_(text, false, ##__VA_ARGS__)
/* A read under the calling statement's snapshot (STABLE functions, standbys). */
#define GA_READ(text, ...) GA_STMT_(text, true, ##__VA_ARGS__)

typedef struct GaArg
{
	Datum value;
	bool isnull;
} GaArg;

typedef struct GaRows
{
	uint64 count; /* rows returned, or rows affected where none is returned */
	SPITupleTable *table;
} GaRows;

typedef struct GaCall
{
	Oid save_userid;
	int save_sec_context;
	int guc_level;
	MemoryContext result_context;
	const GaPrincipal *principal;
} GaCall;

/* permission null: none needed. Raises 42501 (durably recorded) otherwise. */
extern GA_EXPORT void ga_enter(GaCall *call, const char *permission);
/* As ga_enter, for what concerns every tenant at once: a caller that acts in one is denied. */
extern GA_EXPORT void ga_enter_global(GaCall *call, const char *permission);
/* As ga_enter, with a principal already computed and checked (handlers, workers). */
extern GA_EXPORT void ga_enter_as(GaCall *call, const GaPrincipal *who);
extern GA_EXPORT void ga_leave(GaCall *call);
extern GA_EXPORT bool ga_inside_call(void);
/* The role our objects belong to: the owner of schema goldenarch. */
extern GA_EXPORT Oid ga_owner(void);
/* True when the extension's schema exists in this database (workers wait for it). */
extern GA_EXPORT bool ga_installed(void);

/*
 * A worker's transaction: begins, enters as GA_SYSTEM; commits while still switched, so that even
 * deferred triggers run as the owner; restores afterwards.
 */
extern GA_EXPORT void ga_worker_begin(GaCall *call);
extern GA_EXPORT void ga_worker_commit(GaCall *call);

/* ga_query(stmt, args...): nargs arguments made by the constructors below. */
extern GA_EXPORT GaRows ga_query_args(GaStmt *stmt, const GaArg *args, int nargs);
#define ga_query(stmt, ...)                                        \
	ga_query_args((stmt), (const GaArg[]){{0}, ##__VA_ARGS__} + 1, \
	              (int) (sizeof((const GaArg[]){{0}, ##__VA_ARGS__}) / sizeof(GaArg)) - 1)
/* The same, planned for this call alone: over whole tables, whose best plan changes in time. */
extern GaRows ga_query_once_args(GaStmt *stmt, const GaArg *args, int nargs);
#define ga_query_once(stmt, ...)                                        \
	ga_query_once_args((stmt), (const GaArg[]){{0}, ##__VA_ARGS__} + 1, \
	                   (int) (sizeof((const GaArg[]){{0}, ##__VA_ARGS__}) / sizeof(GaArg)) - 1)
/* Give a result back before ga_leave does: for loops. */
extern GA_EXPORT void ga_rows_free(GaRows *rows);
/* Utility text made of our own identifiers only (GRANT, NOTIFY); never a caller's text unquoted. */
extern GA_EXPORT void ga_execute(const char *sql);

/*
 * A caller's own statement with the caller's rights: never inside ga_enter. $1, $2 ... are the
 * elements of params, a jsonb array (22023), read by the types that the statement gives them.
 * take(row, ...), unless null, is called for each row, in a memory context that is emptied after
 * it.
 */
typedef void (*GaTakeRow)(HeapTuple row, TupleDesc desc, void *arg);
extern void ga_query_as_caller(const char *sql, Jsonb *params, GaTakeRow take, void *arg);

/*
 * Run body(arg) in a subtransaction. False: it failed, was rolled back, and *error holds the copied
 * error (in the context current at the call). Cancels and FATAL are re-raised, never swallowed.
 */
extern GA_EXPORT bool ga_try(void (*body)(void *arg), void *arg, ErrorData **error);

/* Argument constructors; a null pointer is SQL null. */
extern GA_EXPORT GaArg ga_text(const char *s);
extern GA_EXPORT GaArg ga_text_n(const char *s, size_t len);
extern GA_EXPORT GaArg ga_text_array(const char *const *items, int n);
extern GA_EXPORT GaArg ga_bytea(const void *bytes, size_t len); /* bytes null: SQL null */
static inline GaArg
ga_datum(Datum value, bool isnull)
{
	return (GaArg){value, isnull};
}
static inline GaArg
ga_null(void)
{
	return (GaArg){(Datum) 0, true};
}
static inline GaArg
ga_int8(int64 v)
{
	return (GaArg){Int64GetDatum(v), false};
}
static inline GaArg
ga_int4(int32 v)
{
	return (GaArg){Int32GetDatum(v), false};
}
static inline GaArg
ga_bool(bool v)
{
	return (GaArg){BoolGetDatum(v), false};
}
static inline GaArg
ga_float8(double v)
{
	return (GaArg){Float8GetDatum(v), false};
}
static inline GaArg
ga_timestamp(TimestampTz v)
{
	return (GaArg){TimestampTzGetDatum(v), false};
}
static inline GaArg
ga_jsonb(const Jsonb *v)
{
	return (GaArg){PointerGetDatum(v), v == NULL};
}
static inline GaArg
ga_uuid(const pg_uuid_t *v)
{
	return (GaArg){PointerGetDatum(v), v == NULL};
}
/* Pass argument n of the SQL function through as it is. */
#define ga_passed(n) ga_datum(PG_ARGISNULL(n) ? (Datum) 0 : PG_GETARG_DATUM(n), PG_ARGISNULL(n))

/* Readers. */
extern GA_EXPORT bool ga_row_isnull(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT char *ga_row_text(const GaRows *rows, uint64 row, int col); /* null: null */
/* XX000 where a null stands. */
extern GA_EXPORT char *ga_row_text_present(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT Jsonb *ga_row_jsonb_present(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT bytea *ga_row_bytea_present(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT pg_uuid_t *ga_row_uuid_present(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT Jsonb *ga_row_jsonb(const GaRows *rows, uint64 row, int col);    /* null: null */
extern GA_EXPORT bytea *ga_row_bytea(const GaRows *rows, uint64 row, int col);    /* null: null */
extern GA_EXPORT pg_uuid_t *ga_row_uuid(const GaRows *rows, uint64 row, int col); /* null: null */
extern GA_EXPORT char **ga_row_text_array(const GaRows *rows, uint64 row, int col, int *n);
extern GA_EXPORT int64 ga_row_int8(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT int32 ga_row_int4(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT bool ga_row_bool(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT double ga_row_float8(const GaRows *rows, uint64 row, int col);
extern GA_EXPORT TimestampTz ga_row_timestamp(const GaRows *rows, uint64 row, int col);
/* By-value or by-reference column of exactly this type, copied to the result context. */
extern GA_EXPORT Datum ga_row_datum(const GaRows *rows, uint64 row, int col, Oid type,
                                    bool *isnull);

/*
 * Results of the SQL function. Composite: values in the order of the declared row type (checked
 * for count). Set: ga_set_begin, then ga_set_add a row, in a materialized tuplestore.
 */
extern Datum ga_return_record(FunctionCallInfo fcinfo, Datum *values, bool *nulls, int n);
extern void ga_set_begin(FunctionCallInfo fcinfo);
extern void ga_set_add(FunctionCallInfo fcinfo, Datum *values, bool *nulls);
/* Every column of every row of the result, types checked against the declared row type. */
extern void ga_set_add_rows(FunctionCallInfo fcinfo, const GaRows *rows);

#endif
