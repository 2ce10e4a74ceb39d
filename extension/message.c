/* SPDX-License-Identifier: PostgreSQL */
/*
 * The outbox: a message is a row of the caller's transaction, so it is published if that commits
 * and never otherwise. No lock but the row's own; the relay is woken by a latch after the commit.
 *
 * What goes over the wire is checked here, once: a caller cannot reach the server's own subjects,
 * break out of a header line, or set the headers by which JetStream and the bridge decide.
 */
#include "message.h"

#include "access/xlog.h"
#include "utils/builtins.h"

#include "bridge_state.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/queue.h"
#include "limits.h"
#include "subject.h"

GA_FUNCTION(ga_publish);
GA_FUNCTION(ga_publish_bytes);

static void
check_subject(const char *subject)
{
	const char *problem = ga_subject_problem(subject, strlen(subject));

	if (problem)
		ga_bad_argument("subject", psprintf("The subject %s.", problem));
}

static void
check_msg_id(const char *msg_id)
{
	const char *c;

	if (!msg_id)
		return;
	if (strlen(msg_id) > GA_MESSAGE_ID_MAX_BYTES)
		ga_bad_argument("msg_id", psprintf("It has %zu bytes, at most %d are allowed.",
		                                   strlen(msg_id), GA_MESSAGE_ID_MAX_BYTES));
	if (*msg_id == '{')
		ga_bad_argument("msg_id", "A leading brace marks the ids of a tenant.");
	for (c = msg_id; *c; c++)
		if (*c <= ' ' || *c > '~')
			ga_bad_argument("msg_id", "Only visible ASCII characters are allowed.");
}

static void
check_header_name(const char *name, int len)
{
	int i;

	if (len == 0 || len > 64)
		ga_bad_argument("headers", "A header's name has 1 to 64 characters.");
	for (i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
		      (name[i] >= '0' && name[i] <= '9') || name[i] == '-' || name[i] == '_'))
			ga_bad_argument("headers",
			                "A header's name is made of letters, digits, hyphen and underscore.");
	if (pg_strncasecmp(name, "Nats-", 5) == 0 || pg_strncasecmp(name, "Ga-", 3) == 0)
		ga_bad_argument("headers", "Names that begin with Nats- or Ga- belong to the bridge.");
}

static void
check_header_value(const char *value, int len)
{
	int i;

	for (i = 0; i < len; i++)
		if ((unsigned char) value[i] < ' ' || value[i] == 0x7f)
			ga_bad_argument("headers", "A header's value has no control characters.");
}

/* An object of strings, or of arrays of strings. */
static void
check_headers(Jsonb *headers)
{
	JsonbIterator *it = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue v;
	int depth = 0;
	int names = 0;
	int values = 0; /* each is a line on the wire */
	size_t bytes = 0;

	if (!JB_ROOT_IS_OBJECT(headers))
		ga_bad_argument("headers", "It must be an object.");
	while ((token = JsonbIteratorNext(&it, &v, false)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			names++;
			check_header_name(v.val.string.val, v.val.string.len);
		}
		else if (token == WJB_BEGIN_ARRAY)
			depth++;
		else if (token == WJB_END_ARRAY)
			depth--;
		else if (token == WJB_VALUE || token == WJB_ELEM)
		{
			if (v.type != jbvString)
				ga_bad_argument("headers", "A header is a string or an array of strings.");
			check_header_value(v.val.string.val, v.val.string.len);
			values++;
		}
		else if (token == WJB_BEGIN_OBJECT && bytes > 0)
			ga_bad_argument("headers", "A header is a string or an array of strings.");
		if (depth > 1)
			ga_bad_argument("headers", "A header is a string or an array of strings.");
		bytes += 4;
		if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
			bytes += v.val.string.len;
	}
	if (Max(names, values) > GA_MESSAGE_HEADERS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many headers"),
		                errdetail("There are %d %s, at most %d are allowed.", Max(names, values),
		                          values > names ? "values" : "names", GA_MESSAGE_HEADERS_MAX)));
	if (bytes > GA_MESSAGE_HEADERS_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("headers are too large"),
		                errdetail("They have %zu bytes, at most %d are allowed.", bytes,
		                          GA_MESSAGE_HEADERS_MAX_BYTES)));
}

static void
check_backlog(void)
{
	int64 backlog = ga_bridge_backlog();

	if (ga_guc_max_outbox_backlog > 0 && backlog >= ga_guc_max_outbox_backlog)
		ereport(ERROR,
		        (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		         errmsg("too many messages wait for publication"),
		         errdetail("About " INT64_FORMAT " wait, goldenarch.max_outbox_backlog is %d.",
		                   backlog, ga_guc_max_outbox_backlog),
		         errhint("See goldenarch.bridge_status for why they are not published.")));
}

int64
ga_outbox_append(const GaOutgoing *message)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.outbox"
	    " (tenant, id, cluster, xid, subject, msg_id, headers, payload, created_at)"
	    " SELECT $1, n.id, $2, pg_catalog.pg_current_xact_id(), $3,"
	    "  COALESCE($4, pg_catalog.concat(n.id::pg_catalog.text, '-', $5)),"
	    "  COALESCE($6, '{}'::pg_catalog.jsonb), $7, pg_catalog.clock_timestamp()"
	    " FROM (SELECT pg_catalog.nextval('goldenarch.outbox_id'::pg_catalog.regclass) AS id) AS n"
	    " RETURNING id",
	    TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, BYTEAOID);
	const char *msg_id = message->msg_id;
	uint64 nonce;
	GaRows rows;

	check_backlog();
	/* An id alone would be swallowed as a duplicate where a restore hands it out again. */
	if (!pg_strong_random(&nonce, sizeof(nonce)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no randomness is available")));
	/* Streams are shared between tenants: one must not suppress the message of another. */
	if (msg_id && *message->tenant)
		msg_id = psprintf("{%s}%s", message->tenant, msg_id);
	rows = ga_query(&insert, ga_text(message->tenant), ga_int8((int64) GetSystemIdentifier()),
	                ga_text(message->subject), ga_text(msg_id),
	                ga_text(psprintf(UINT64_FORMAT, nonce)), ga_jsonb(message->headers),
	                ga_bytea(message->payload, message->payload_bytes));
	ga_wake_at_commit(GA_WORKER_RELAY);
	return ga_row_int8(&rows, 0, 1);
}

int64
ga_outbox_publish(const char *tenant, const char *subject, const Jsonb *payload,
                  const Jsonb *headers, const char *msg_id)
{
	char *text =
	    JsonbToCString(NULL, unconstify(JsonbContainer *, &payload->root), VARSIZE(payload));

	return ga_outbox_append(&(GaOutgoing){.tenant = tenant,
	                                      .subject = subject,
	                                      .payload = text,
	                                      .payload_bytes = strlen(text),
	                                      .headers = headers,
	                                      .msg_id = msg_id});
}

/* The arguments that both functions share; the payload is the caller's to set. */
static GaOutgoing
read_arguments(FunctionCallInfo fcinfo, const GaPrincipal *who)
{
	GaOutgoing message = {.tenant = who->tenant};

	message.subject = ga_arg_text(fcinfo, 0, "subject");
	check_subject(message.subject);
	if (!PG_ARGISNULL(2))
	{
		message.headers = PG_GETARG_JSONB_P(2);
		check_headers(unconstify(Jsonb *, message.headers));
	}
	message.msg_id = ga_arg_text_or_null(fcinfo, 3, "msg_id");
	check_msg_id(message.msg_id);
	return message;
}

static int64
publish(GaOutgoing *message, const void *payload, size_t bytes)
{
	if (bytes > GA_MESSAGE_PAYLOAD_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("payload is too large"),
		                errdetail("It has %zu bytes, at most %d are allowed.", bytes,
		                          GA_MESSAGE_PAYLOAD_MAX_BYTES),
		                errhint("Store it in a table and publish its key.")));
	message->payload = payload;
	message->payload_bytes = bytes;
	return ga_outbox_append(message);
}

/* publish(subject text, payload jsonb, headers jsonb, msg_id text) -> bigint */
Datum
ga_publish(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaOutgoing message;
	Jsonb *payload;
	char *text;
	int64 id;

	ga_enter(&call, "message.publish");
	ga_require_writable("publish");
	message = read_arguments(fcinfo, call.principal);
	if (PG_ARGISNULL(1))
		ga_bad_argument("payload", "It must not be null; publish JSON null as 'null'.");
	payload = PG_GETARG_JSONB_P(1);
	text = JsonbToCString(NULL, &payload->root, VARSIZE(payload));
	id = publish(&message, text, strlen(text));
	ga_leave(&call);
	PG_RETURN_INT64(id);
}

/* publish_bytes(subject text, payload bytea, headers jsonb, msg_id text) -> bigint */
Datum
ga_publish_bytes(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaOutgoing message;
	bytea *payload;
	int64 id;

	ga_enter(&call, "message.publish");
	ga_require_writable("publish_bytes");
	message = read_arguments(fcinfo, call.principal);
	if (PG_ARGISNULL(1))
		ga_bad_argument("payload", "It must not be null.");
	payload = PG_GETARG_BYTEA_PP(1);
	id = publish(&message, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload));
	ga_leave(&call);
	PG_RETURN_INT64(id);
}
