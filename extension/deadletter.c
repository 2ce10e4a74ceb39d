/* SPDX-License-Identifier: PostgreSQL */
/*
 * Dead letters. The row, its copy on dlq.<subject> and, for an escalation, alerts.critical are one
 * transaction's work, so a message is either still on its way or here, never neither. A retry locks
 * its row: two callers cannot send one letter twice. The handler of a consumed letter runs in the
 * ingest worker, as the role that subscribed, never in the caller's session.
 */
#include "goldenarch/deadletter.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "json.h"
#include "limits.h"
#include "message.h"
#include "task.h"
#include "subject.h"

GA_FUNCTION(ga_dlq_retry);
GA_FUNCTION(ga_dlq_retry_all);
GA_FUNCTION(ga_dlq_resolve);
GA_FUNCTION(ga_payload_json);

typedef struct Letter
{
	int64 id;
	char *tenant;
	char *source;
	char *subject;
	bytea *payload;
	Jsonb *headers;
	char *origin;
	bool resolved;
} Letter;

static int64
insert_letter(const GaDeadLetter *letter)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.dead_letters (tenant, id, source, subject, payload, headers, error,"
	    " error_count, created_at, origin, stream, seq, msg_id, published_at)"
	    " VALUES ($1, pg_catalog.nextval('goldenarch.dead_letter_id'::pg_catalog.regclass), $2, $3,"
	    " $4, COALESCE($5, '{}'::pg_catalog.jsonb), $6, $7, pg_catalog.clock_timestamp(), $8, $9,"
	    " $10, $11, $12) RETURNING id",
	    TEXTOID, TEXTOID, TEXTOID, BYTEAOID, JSONBOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, INT8OID,
	    TEXTOID, TIMESTAMPTZOID);
	GaRows rows;

	rows = ga_query(&insert, ga_text(letter->tenant), ga_text(letter->source),
	                ga_text(letter->subject), ga_bytea(letter->payload, letter->payload_bytes),
	                ga_jsonb(letter->headers), ga_text(letter->error), ga_int4(letter->error_count),
	                ga_text(letter->origin), ga_text(letter->stream),
	                letter->stream ? ga_int8(letter->seq) : ga_null(), ga_text(letter->msg_id),
	                letter->published_at ? ga_timestamp(letter->published_at) : ga_null());
	return ga_row_int8(&rows, 0, 1);
}

/* The copy on dlq.>; its headers tell the relay that no letter is to be made of it again. */
static void
publish_copy(int64 id, const GaDeadLetter *letter)
{
	char *subject = psprintf("dlq.%s", letter->subject);
	GaJson json;

	/* What fails to handle dead letters must not breed them. */
	if (strncmp(letter->subject, "dlq.", strlen("dlq.")) == 0)
		return;
	if (ga_subject_problem(subject, strlen(subject)))
		subject = "dlq.unnamed";
	ga_json_begin_object(&json);
	ga_json_text(&json, "Ga-Dead-Letter", psprintf(INT64_FORMAT, id));
	ga_json_text(&json, "Ga-Source", letter->source);
	ga_json_text(&json, "Ga-Subject", letter->subject);
	(void) ga_outbox_append(&(GaOutgoing){.tenant = letter->tenant,
	                                      .subject = subject,
	                                      .payload = letter->payload,
	                                      .payload_bytes = letter->payload_bytes,
	                                      .headers = ga_json_end(&json)});
}

static void
alert(int64 id, const GaDeadLetter *letter)
{
	GaJson json;

	if (strcmp(letter->subject, "supervisor.escalation") != 0)
		return;
	ga_json_begin_object(&json);
	ga_json_text(&json, "alert", "dead_lettered_escalation");
	ga_json_int8(&json, "dead_letter_id", id);
	ga_json_text(&json, "error", letter->error);
	(void) ga_outbox_publish(letter->tenant, "alerts.critical", ga_json_end(&json), NULL, NULL);
}

int64
ga_dead_letter(const GaDeadLetter *letter)
{
	int64 id = insert_letter(letter);

	publish_copy(id, letter);
	alert(id, letter);
	ga_count(GA_COUNT_DEAD_LETTERS);
	return id;
}

/* The letter, locked. One of another tenant does not exist. */
static Letter
lock_letter(const GaCall *call, int64 id)
{
	static GaStmt find = GA_STMT(
	    "SELECT tenant::pg_catalog.text, source::pg_catalog.text, subject::pg_catalog.text,"
	    " payload::pg_catalog.bytea, headers::pg_catalog.jsonb, origin::pg_catalog.text,"
	    " (resolved_at IS NOT NULL)::pg_catalog.bool"
	    " FROM goldenarch.dead_letters WHERE id OPERATOR(pg_catalog.=) $1"
	    " AND tenant OPERATOR(pg_catalog.>=) $2 AND tenant OPERATOR(pg_catalog.<=) $3 FOR UPDATE",
	    INT8OID, TEXTOID, TEXTOID);
	GaRows rows = ga_query(&find, ga_int8(id), ga_text(ga_tenant_floor(call->principal)),
	                       ga_text(ga_tenant_ceiling(call->principal)));
	Letter letter = {.id = id};

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("dead letter " INT64_FORMAT " does not exist", id)));
	letter.tenant = ga_row_text_present(&rows, 0, 1);
	letter.source = ga_row_text_present(&rows, 0, 2);
	letter.subject = ga_row_text_present(&rows, 0, 3);
	letter.payload = ga_row_bytea_present(&rows, 0, 4);
	letter.headers = ga_row_jsonb(&rows, 0, 5);
	letter.origin = ga_row_text_present(&rows, 0, 6);
	letter.resolved = ga_row_bool(&rows, 0, 7);
	if (letter.resolved)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("dead letter " INT64_FORMAT " is already resolved", id)));
	return letter;
}

static void
resolve(const GaCall *call, const Letter *letter, const char *notes, const char *action)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.dead_letters SET resolved_at = pg_catalog.clock_timestamp(),"
	            " resolved_by = $3, resolution_notes = $4, retry_by = NULL"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, INT8OID, TEXTOID, TEXTOID);

	ga_query(&update, ga_text(letter->tenant), ga_int8(letter->id),
	         ga_text(call->principal->subject), ga_text(notes));
	ga_audit(
	    action, "dead_letter", psprintf(INT64_FORMAT, letter->id),
	    ga_json_pairs("subject", letter->subject, "source", letter->source, "notes", notes, NULL));
}

/* The worker of the subscription makes the delivery and resolves the letter with its effects. */
static void
ask_for_delivery(const GaCall *call, const Letter *letter)
{
	static GaStmt find = GA_STMT("SELECT 1::pg_catalog.int4 FROM goldenarch.subscriptions"
	                             " WHERE name OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.dead_letters SET retry_by = $3"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, INT8OID, TEXTOID);

	if (ga_query(&find, ga_text(letter->origin)).count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("subscription \"%s\" no longer exists", letter->origin),
		         errhint("Subscribe again under this name, or publish the message again and use"
		                 " dlq_resolve().")));
	ga_query(&update, ga_text(letter->tenant), ga_int8(letter->id),
	         ga_text(call->principal->subject));
	ga_audit("dlq.retry", "dead_letter", psprintf(INT64_FORMAT, letter->id),
	         ga_json_pairs("subject", letter->subject, "source", letter->source, NULL));
	ga_wake_at_commit(GA_WORKER_INGEST);
}

static void
publish_again(const GaCall *call, const Letter *letter)
{
	int64 id;

	id = ga_outbox_append(&(GaOutgoing){.tenant = letter->tenant,
	                                    .subject = letter->subject,
	                                    .payload = VARDATA_ANY(letter->payload),
	                                    .payload_bytes = VARSIZE_ANY_EXHDR(letter->payload),
	                                    .headers = letter->headers});
	resolve(call, letter, psprintf("published again as " INT64_FORMAT, id), "dlq.retry");
}

static void
retry(const GaCall *call, int64 id)
{
	Letter letter = lock_letter(call, id);

	if (strcmp(letter.source, "consume") == 0)
		ask_for_delivery(call, &letter);
	else if (strcmp(letter.source, "publish") == 0)
		publish_again(call, &letter);
	else if (strcmp(letter.source, "task") == 0)
	{
		ga_task_restart(letter.origin);
		resolve(call, &letter, "the task starts again", "dlq.retry");
	}
	else
		elog(ERROR, "unknown source of a dead letter: %s", letter.source);
}

/* dlq_retry(id bigint) -> void */
Datum
ga_dlq_retry(PG_FUNCTION_ARGS)
{
	GaCall call;

	ga_enter(&call, "dlq.resolve");
	ga_require_writable("dlq_retry");
	retry(&call, ga_arg_int8(fcinfo, 0, "id", 1, PG_INT64_MAX));
	ga_leave(&call);
	PG_RETURN_VOID();
}

/* dlq_retry_all(subject_like text) -> integer */
Datum
ga_dlq_retry_all(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_STMT(
	    "SELECT d.id::pg_catalog.int8 FROM goldenarch.dead_letters AS d"
	    " WHERE d.resolved_at IS NULL AND d.retry_by IS NULL"
	    " AND d.tenant OPERATOR(pg_catalog.>=) $1 AND d.tenant OPERATOR(pg_catalog.<=) $2"
	    " AND d.subject OPERATOR(pg_catalog.~~) $3"
	    " AND (d.source OPERATOR(pg_catalog.<>) 'consume' OR EXISTS ("
	    "  SELECT FROM goldenarch.subscriptions AS s WHERE s.name OPERATOR(pg_catalog.=) d.origin))"
	    " ORDER BY d.id LIMIT $4",
	    TEXTOID, TEXTOID, TEXTOID, INT8OID);
	GaCall call;
	GaRows rows;
	uint64 i;

	ga_enter(&call, "dlq.resolve");
	ga_require_writable("dlq_retry_all");
	rows = ga_query(&find, ga_text(ga_tenant_floor(call.principal)),
	                ga_text(ga_tenant_ceiling(call.principal)),
	                ga_text(ga_arg_text(fcinfo, 0, "subject_like")), ga_int8(10000));
	for (i = 0; i < rows.count; i++)
		retry(&call, ga_row_int8(&rows, i, 1));
	ga_leave(&call);
	PG_RETURN_INT32((int32) rows.count);
}

/* dlq_resolve(id bigint, notes text) -> void */
Datum
ga_dlq_resolve(PG_FUNCTION_ARGS)
{
	GaCall call;
	Letter letter;
	char *notes;
	int64 id;

	ga_enter(&call, "dlq.resolve");
	ga_require_writable("dlq_resolve");
	id = ga_arg_int8(fcinfo, 0, "id", 1, PG_INT64_MAX);
	notes = ga_arg_text(fcinfo, 1, "notes");
	if (strlen(notes) > GA_REASON_MAX_BYTES)
		ga_bad_argument("notes", psprintf("It has %zu bytes, at most %d are allowed.",
		                                  strlen(notes), GA_REASON_MAX_BYTES));
	letter = lock_letter(&call, id);
	resolve(&call, &letter, notes, "dlq.resolve");
	ga_leave(&call);
	PG_RETURN_VOID();
}

static void *
grow(void *context, size_t bytes)
{
	return MemoryContextAlloc(context, bytes);
}

static bool
is_json(const char *text, size_t bytes)
{
	GaArena arena;
	GaJsonFault fault;

	ga_arena_init_growing(&arena, grow, CurrentMemoryContext, MaxAllocSize);
	return ga_json_parse(&arena, text, bytes, &ga_json_default_limits, 0, &fault) != NULL;
}

/* payload_json(payload bytea) -> jsonb */
Datum
ga_payload_json(PG_FUNCTION_ARGS)
{
	bytea *payload = PG_GETARG_BYTEA_PP(0);
	const char *bytes = VARDATA_ANY(payload);
	int n = VARSIZE_ANY_EXHDR(payload);
	char *chars = pnstrdup(bytes, n);
	GaJson json;
	Jsonb *object;
	Datum base64;

	if (is_json(bytes, n))
		PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(chars)));
	if (memchr(bytes, 0, n) == NULL && pg_verify_mbstr(PG_UTF8, bytes, n, true))
	{
		JsonbValue v = {.type = jbvString, .val.string = {.val = chars, .len = n}};

		PG_RETURN_JSONB_P(JsonbValueToJsonb(&v));
	}
	ga_json_begin_object(&json);
	base64 =
	    DirectFunctionCall2(binary_encode, PointerGetDatum(payload), CStringGetTextDatum("base64"));
	ga_json_text(&json, "base64", TextDatumGetCString(base64));
	object = ga_json_end(&json);
	PG_RETURN_JSONB_P(object);
}
