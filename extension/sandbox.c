/* SPDX-License-Identifier: PostgreSQL */
/*
 * Sandbox jobs as callers see them. A job is a row of the caller's transaction: it runs when that
 * commits, and never where it rolls back. Nothing here runs code or talks to an executor; the
 * maintenance worker, woken at commit, tells the executors to look. A job is its submitter's: to
 * others than an admin it does not exist. wait_job looks with a snapshot of its own each time, so
 * that it sees a result under REPEATABLE READ, too.
 */
#include "goldenarch/query.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/queue.h"
#include "fsm.h"
#include "limits.h"
#include "utf8.h"

#define ARG_MAX_BYTES 4096
#define FILES_MAX_BYTES (4 * 1024 * 1024)
#define FILE_NAME_MAX 100
#define REQUEST_ID_MAX 200
#define WAIT_FIRST_MS 10
#define WAIT_STEP_MS 100
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

typedef struct Submission
{
	GaArg values[9]; /* language code args stdin files timeout_ms memory_mb cpus pids */
	const char *language;
	const char *request_id; /* or null */
} Submission;

static bool
is_plain_name(const char *name, size_t max)
{
	size_t length = strlen(name);

	return length > 0 && length <= max && name[0] != '.' && strspn(name, NAME_CHARACTERS) == length;
}

static const char *
checked_text(FunctionCallInfo fcinfo, int n, const char *name, size_t max)
{
	const char *value = ga_arg_text(fcinfo, n, name);

	if (strlen(value) > max)
		ga_bad_argument(name, psprintf("At most %zu bytes are allowed.", max));
	return value;
}

/* Program arguments may be empty strings, never null. */
static Datum
checked_args(FunctionCallInfo fcinfo, int n)
{
	ArrayType *array;
	Datum *items;
	bool *nulls;
	int count;
	int i;

	if (PG_ARGISNULL(n))
		ga_bad_argument("args", "The array must not be null.");
	array = PG_GETARG_ARRAYTYPE_P(n);
	if (ARR_NDIM(array) > 1)
		ga_bad_argument("args", "The array must have one dimension.");
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &count);
	if (count > GA_JOB_ARGS_MAX)
		ga_bad_argument("args", psprintf("At most %d are allowed.", GA_JOB_ARGS_MAX));
	for (i = 0; i < count; i++)
	{
		if (nulls[i])
			ga_bad_argument("args", "The array must not hold a null.");
		if (VARSIZE_ANY_EXHDR(DatumGetPointer(items[i])) > ARG_MAX_BYTES)
			ga_bad_argument("args", psprintf("An argument has at most %d bytes.", ARG_MAX_BYTES));
	}
	return PointerGetDatum(array);
}

/* An object of plain names and strings, bounded in number and size. */
static Datum
checked_files(FunctionCallInfo fcinfo, int n)
{
	Jsonb *files;
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;
	int64 bytes = 0;

	if (PG_ARGISNULL(n))
		ga_bad_argument("files", "The object must not be null.");
	files = PG_GETARG_JSONB_P(n);
	if (!JB_ROOT_IS_OBJECT(files))
		ga_bad_argument("files", "An object of file names and texts is needed.");
	if (JB_ROOT_COUNT(files) > GA_JOB_FILES_MAX)
		ga_bad_argument("files", psprintf("At most %d are allowed.", GA_JOB_FILES_MAX));
	it = JsonbIteratorInit(&files->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char *name = pnstrdup(value.val.string.val, value.val.string.len);

			if (!is_plain_name(name, FILE_NAME_MAX) || strcmp(name, "main") == 0)
				ga_bad_argument("files", "A name has 1 to 100 of A-Z a-z 0-9 . _ -, does not begin "
				                         "with a dot and is not \"main\".");
		}
		else if (token == WJB_VALUE)
		{
			if (value.type != jbvString)
				ga_bad_argument("files", "Each file's content must be a string.");
			bytes += value.val.string.len;
		}
	}
	if (bytes > FILES_MAX_BYTES)
		ga_bad_argument("files", psprintf("Together at most %d bytes.", FILES_MAX_BYTES));
	return JsonbPGetDatum(files);
}

static void
read_submission(FunctionCallInfo fcinfo, Submission *job)
{
	int64 timeout_us;
	float4 cpus;

	job->language = checked_text(fcinfo, 0, "language", 32);
	job->values[0] = ga_text(job->language);
	job->values[1] = ga_text(checked_text(fcinfo, 1, "code", GA_JOB_CODE_MAX_BYTES));
	job->values[2] = ga_datum(checked_args(fcinfo, 2), false);
	job->values[3] = ga_passed(3);
	if (!PG_ARGISNULL(3) && VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(3)) > GA_JOB_STDIN_MAX_BYTES)
		ga_bad_argument("stdin", psprintf("At most %d bytes.", GA_JOB_STDIN_MAX_BYTES));
	job->values[4] = ga_datum(checked_files(fcinfo, 4), false);
	timeout_us = ga_arg_interval_us(fcinfo, 5, "timeout", false);
	if (timeout_us > GA_JOB_TIMEOUT_MAX_SECONDS * INT64CONST(1000000))
		ga_bad_argument("timeout", "At most one hour is allowed.");
	job->values[5] = ga_int8(Max(timeout_us / 1000, 1));
	job->values[6] =
	    ga_int4(ga_arg_int4(fcinfo, 6, "memory_mb", GA_JOB_MEMORY_MIN_MB, GA_JOB_MEMORY_MAX_MB));
	cpus = PG_ARGISNULL(7) ? 0 : PG_GETARG_FLOAT4(7);
	if (!(cpus >= 0.05f && cpus <= 64.0f))
		ga_bad_argument("cpus", "It must be between 0.05 and 64.");
	job->values[7] = ga_datum(Float4GetDatum(cpus), false);
	job->values[8] = ga_int4(ga_arg_int4(fcinfo, 8, "pids", 1, GA_JOB_PIDS_MAX));
	job->request_id = NULL;
	if (!PG_ARGISNULL(9))
		job->request_id = checked_text(fcinfo, 9, "request_id", REQUEST_ID_MAX);
}

/* What a replay must agree in; null without a request id. */
static GaArg
digest_of(const Submission *job)
{
	static GaStmt digest = GA_STMT(
	    "SELECT pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array("
	    "$1, $2, $3, $4, $5, $6, $7, $8, $9)::pg_catalog.text, 'UTF8'))",
	    TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, JSONBOID, INT8OID, INT4OID, FLOAT4OID, INT4OID);
	GaRows rows;

	if (!job->request_id)
		return ga_null();
	rows = ga_query_args(&digest, job->values, lengthof(job->values));
	return (GaArg){PointerGetDatum(ga_row_bytea(&rows, 0, 1)), false};
}

/* The runtime must exist, and the tenant's queue have room. */
static void
check_admission(const Submission *job, const char *tenant)
{
	static GaStmt runtime = GA_STMT("SELECT 1 FROM goldenarch.sandbox_runtimes r WHERE r.language "
	                                "OPERATOR(pg_catalog.=) $1",
	                                TEXTOID);
	static GaStmt waiting =
	    GA_STMT("SELECT pg_catalog.count(*) FROM (SELECT 1 FROM goldenarch.jobs j WHERE j.tenant "
	            "OPERATOR(pg_catalog.=) $1 AND j.state OPERATOR(pg_catalog.=) 'queued' LIMIT $2) q",
	            TEXTOID, INT8OID);
	GaRows rows;

	if (ga_query(&runtime, ga_text(job->language)).count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("there is no sandbox runtime for language \"%s\"", job->language),
		                errhint("An admin can add one with goldenarch.set_runtime().")));
	rows = ga_query(&waiting, ga_text(tenant), ga_int8(ga_guc_max_jobs_queued));
	if (ga_guc_max_jobs_queued > 0 && ga_row_int8(&rows, 0, 1) >= ga_guc_max_jobs_queued)
		ereport(ERROR,
		        (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		         errmsg("the queue of sandbox jobs is full"),
		         errdetail("%d jobs of this tenant are waiting.", ga_guc_max_jobs_queued),
		         errhint("Wait for them, add executors, or raise goldenarch.max_jobs_queued.")));
}

static Datum
answer_again(const Submission *job, const char *tenant, GaArg digest)
{
	static GaStmt find = GA_STMT(
	    "SELECT j.id::pg_catalog.uuid, (j.request_digest OPERATOR(pg_catalog.=) $3 AND j.subject "
	    "OPERATOR(pg_catalog.=) $4)::pg_catalog.bool FROM goldenarch.jobs j WHERE j.tenant "
	    "OPERATOR(pg_catalog.=) $1 AND j.request_id OPERATOR(pg_catalog.=) $2",
	    TEXTOID, TEXTOID, BYTEAOID, TEXTOID);
	GaRows rows = ga_query(&find, ga_text(tenant), ga_text(job->request_id), digest,
	                       ga_text(ga_principal()->subject));

	if (rows.count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
		         errmsg("could not see the job that took request id \"%s\"", job->request_id),
		         errhint("Retry the transaction.")));
	if (ga_row_isnull(&rows, 0, 2) || !ga_row_bool(&rows, 0, 2))
		ereport(ERROR, (errcode(GA_ERR_IDEMPOTENCY_REUSE),
		                errmsg("request id \"%s\" was used for another job", job->request_id),
		                errdetail("Code, arguments or limits differ, or somebody else used it."),
		                errhint("Use one request id for one job.")));
	return UUIDPGetDatum(ga_row_uuid_present(&rows, 0, 1));
}

GA_FUNCTION(ga_submit_job);
Datum
ga_submit_job(PG_FUNCTION_ARGS)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.jobs (language, code, args, stdin, files, timeout_ms, memory_mb, "
	    "cpus, pids, tenant, subject, request_id, request_digest, submitted_at, not_before) VALUES "
	    "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) ON CONFLICT (tenant, "
	    "request_id) DO NOTHING RETURNING id::pg_catalog.uuid",
	    TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, JSONBOID, INT8OID, INT4OID, FLOAT4OID, INT4OID,
	    TEXTOID, TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID);
	GaArg values[14];
	GaCall call;
	Submission job;
	const char *tenant;
	GaRows rows;
	Datum id;

	ga_enter(&call, "sandbox.submit");
	ga_require_writable("submit_job()");
	read_submission(fcinfo, &job);
	tenant = ga_tenant_for_new_row(call.principal, NULL);
	check_admission(&job, tenant);
	memcpy(values, job.values, sizeof(job.values));
	values[9] = ga_text(tenant);
	values[10] = ga_text(call.principal->subject);
	values[11] = ga_text(job.request_id);
	values[12] = digest_of(&job);
	values[13] = ga_timestamp(ga_now());
	rows = ga_query_args(&insert, values, lengthof(values));
	if (rows.count == 1)
	{
		id = UUIDPGetDatum(ga_row_uuid_present(&rows, 0, 1));
		ga_wake_at_commit(GA_WORKER_MAINTENANCE);
		ga_count(GA_COUNT_JOBS_SUBMITTED);
	}
	else
		id = answer_again(&job, tenant, values[12]);
	ga_leave(&call);
	return id;
}

static pg_uuid_t *
job_id_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ga_bad_argument("job_id", "It must not be null.");
	return PG_GETARG_UUID_P(0);
}

static void
refuse_unknown(pg_uuid_t *id)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
	                errmsg("there is no sandbox job %s of yours",
	                       DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id))))));
}

/* $1 id, $2 and $3 the tenants seen, $4 sees everybody's, $5 subject */
#define MINE                                                                                \
	" j.id OPERATOR(pg_catalog.=) $1 AND j.tenant OPERATOR(pg_catalog.>=) $2 AND j.tenant " \
	"OPERATOR(pg_catalog.<=) $3 AND ($4 OR j.subject OPERATOR(pg_catalog.=) $5)"
#define MINE_TYPES UUIDOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID
#define MINE_ARGS(id, who)                                                       \
	ga_uuid(id), ga_text(ga_tenant_floor(who)), ga_text(ga_tenant_ceiling(who)), \
	    ga_bool(ga_has_permission(who, "system.admin")), ga_text((who)->subject)

/* The row as the newest snapshot sees it, whatever the transaction's own. */
static GaRows
look(pg_uuid_t *id, const GaPrincipal *who)
{
	static GaStmt find = GA_READ(
	    "SELECT j.state::pg_catalog.text, j.exit_code::pg_catalog.int4, j.signal::pg_catalog.int4, "
	    "j.stdout::pg_catalog.bytea, j.stderr::pg_catalog.bytea, j.truncated::pg_catalog.bool, "
	    "j.wall_ms::pg_catalog.int8, j.cpu_ms::pg_catalog.int8, j.max_rss_kb::pg_catalog.int8, "
	    "j.error::pg_catalog.text, j.attempts::pg_catalog.int4, "
	    "j.submitted_xid::pg_catalog.xid8 FROM goldenarch.jobs j WHERE" MINE,
	    MINE_TYPES);
	GaRows rows;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = ga_query(&find, MINE_ARGS(id, who));
	PopActiveSnapshot();
	return rows;
}

static bool
is_final(const char *state)
{
	return ga_fsm_final(GA_MACHINE_JOB, ga_fsm_state_by_name(GA_MACHINE_JOB, state));
}

static void
refuse_own_open(const GaRows *rows, const char *state)
{
	FullTransactionId mine = GetTopFullTransactionIdIfAny();
	bool isnull;
	Datum xid = ga_row_datum(rows, 0, 12, XID8OID, &isnull);

	if (isnull || strcmp(state, "queued") != 0 || !FullTransactionIdIsValid(mine) ||
	    !FullTransactionIdEquals(DatumGetFullTransactionId(xid), mine))
		return;
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	                errmsg("cannot wait for a job that this transaction has submitted"),
	                errdetail("No executor sees the job before the transaction commits."),
	                errhint("Commit, then wait for the job.")));
}

/* Output bytes as text: what is not UTF-8, or is the zero byte, is shown as \xNN. */
static Datum
shown(const bytea *bytes)
{
	const char *at = VARDATA_ANY(bytes);
	size_t left = VARSIZE_ANY_EXHDR(bytes);
	StringInfoData text;

	initStringInfo(&text);
	while (left > 0)
	{
		uint32_t code;
		int length = *at == '\0' ? 0 : ga_utf8_decode(at, left, &code);

		if (length > 0)
			appendBinaryStringInfo(&text, at, length);
		else
			appendStringInfo(&text, "\\x%02x", (unsigned char) *at);
		length = Max(length, 1);
		at += length;
		left -= (size_t) length;
	}
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.len));
}

static Datum
result_of(FunctionCallInfo fcinfo, pg_uuid_t *id, const GaRows *rows, const char *state)
{
	static const Oid types[12] = {[2] = INT4OID, [3] = INT4OID, [6] = BOOLOID,  [7] = INT8OID,
	                              [8] = INT8OID, [9] = INT8OID, [10] = TEXTOID, [11] = INT4OID};
	Datum values[12] = {0};
	bool nulls[12] = {false};
	int i;

	values[0] = UUIDPGetDatum(id);
	values[1] = CStringGetTextDatum(state);
	for (i = 2; i < 12; i++)
	{
		if (OidIsValid(types[i]))
			values[i] = ga_row_datum(rows, 0, i, types[i], &nulls[i]);
		else
		{
			bytea *bytes = ga_row_bytea(rows, 0, i);

			nulls[i] = bytes == NULL;
			if (bytes)
				values[i] = shown(bytes);
		}
	}
	return ga_return_record(fcinfo, values, nulls, lengthof(values));
}

GA_FUNCTION(ga_wait_job);
Datum
ga_wait_job(PG_FUNCTION_ARGS)
{
	int64 step_ms = WAIT_FIRST_MS;
	GaCall call;
	pg_uuid_t *id;
	int64 until_ns;
	GaRows rows;
	char *state;
	Datum result;

	ga_enter(&call, "sandbox.submit");
	id = job_id_argument(fcinfo);
	until_ns = ga_monotonic_ns() + ga_arg_interval_us(fcinfo, 1, "timeout", true) * 1000;
	for (;;)
	{
		int64 left_ms;

		rows = look(id, call.principal);
		if (rows.count == 0)
			refuse_unknown(id);
		state = ga_row_text_present(&rows, 0, 1);
		if (is_final(state))
			break;
		refuse_own_open(&rows, state);
		left_ms = (until_ns - ga_monotonic_ns()) / 1000000;
		if (left_ms <= 0)
			break;
		ga_rows_free(&rows);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
		                 (long) Min(left_ms, step_ms), GA_WAIT_EVENT("GoldenarchWaitJob"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		step_ms = Min(step_ms + step_ms / 2, WAIT_STEP_MS);
	}
	MemoryContextSwitchTo(call.result_context);
	result = result_of(fcinfo, id, &rows, state);
	ga_leave(&call);
	return result;
}

GA_FUNCTION(ga_cancel_job);
Datum
ga_cancel_job(PG_FUNCTION_ARGS)
{
	static GaStmt cancel = GA_STMT(
	    "UPDATE goldenarch.jobs j SET cancel_requested = true, "
	    "state = CASE WHEN j.state OPERATOR(pg_catalog.=) 'queued' THEN 'cancelled' ELSE j.state "
	    "END, finished_at = CASE WHEN j.state OPERATOR(pg_catalog.=) 'queued' THEN $6 END "
	    "WHERE" MINE " AND j.state OPERATOR(pg_catalog.=) ANY "
	    "('{queued,running}'::pg_catalog.text[])",
	    MINE_TYPES, TIMESTAMPTZOID);
	static GaStmt find = GA_STMT("SELECT 1 FROM goldenarch.jobs j WHERE" MINE, MINE_TYPES);
	GaCall call;
	pg_uuid_t *id;
	bool cancelled;

	ga_enter(&call, "sandbox.submit");
	ga_require_writable("cancel_job()");
	id = job_id_argument(fcinfo);
	cancelled = ga_query(&cancel, MINE_ARGS(id, call.principal), ga_timestamp(ga_now())).count > 0;
	if (!cancelled && ga_query(&find, MINE_ARGS(id, call.principal)).count == 0)
		refuse_unknown(id);
	if (cancelled)
		ga_wake_at_commit(GA_WORKER_MAINTENANCE);
	ga_leave(&call);
	PG_RETURN_BOOL(cancelled);
}

GA_FUNCTION(ga_set_runtime);
Datum
ga_set_runtime(PG_FUNCTION_ARGS)
{
	static GaStmt set = GA_STMT(
	    "INSERT INTO goldenarch.sandbox_runtimes AS r (language, argv, rootfs) VALUES ($1, $2, $3) "
	    "ON CONFLICT (language) DO UPDATE SET argv = $2, rootfs = $3",
	    TEXTOID, TEXTARRAYOID, TEXTOID);
	GaCall call;
	const char *language;
	const char *rootfs;
	char **argv;
	int argc;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("set_runtime()");
	language = ga_arg_text(fcinfo, 0, "language");
	if (strlen(language) > 32 || !islower((unsigned char) language[0]) ||
	    strspn(language, "abcdefghijklmnopqrstuvwxyz0123456789_+-") != strlen(language))
		ga_bad_argument("language", "It has 1 to 32 of a-z 0-9 _ + - and begins with a letter.");
	argv = ga_arg_text_array(fcinfo, 1, "argv", false, &argc);
	if (argc < 1 || argc > 32 || argv[0][0] != '/')
		ga_bad_argument("argv", "It holds 1 to 32 strings, the first an absolute path.");
	rootfs = ga_arg_text(fcinfo, 2, "rootfs");
	if (!is_plain_name(rootfs, 64))
		ga_bad_argument("rootfs", "A name has 1 to 64 of A-Z a-z 0-9 . _ - and no dot first.");
	(void) ga_query(&set, ga_text(language), ga_passed(1), ga_text(rootfs));
	(void) ga_audit("sandbox.set_runtime", "runtime", language,
	                ga_json_pairs("program", argv[0], "rootfs", rootfs, (char *) NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}
