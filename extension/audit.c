/* SPDX-License-Identifier: PostgreSQL */
/*
 * The audit row: canonical bytes, their leaf hash, and a salted commitment to the details, written
 * in the transaction that it tells of. The stored bytes are what is hashed; the query columns are
 * derived from them and can be checked against them. Details never enter the bytes, so that they
 * can be erased while every proof stays valid.
 *
 * Rows are append-only: ENABLE ALWAYS triggers refuse UPDATE, DELETE and TRUNCATE.
 */
#include "goldenarch/audit.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "audit_row.h"
#include "entry.h"
#include "limits.h"
#include "merkle.h"

#define UNIX_EPOCH_US ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static const char *const outcome_names[] = {"ok", "denied", "failed"};

/* Ordinal of the next entry within the running transaction. */
static int64
next_ordinal(FullTransactionId xid)
{
	static FullTransactionId last;
	static int64 ordinal;

	if (!FullTransactionIdEquals(last, xid))
		ordinal = 0;
	last = xid;
	return ++ordinal;
}

static char *
joined_roles(const GaPrincipal *who)
{
	StringInfoData text;
	int i;

	initStringInfo(&text);
	for (i = 0; i < who->nroles; i++)
		appendStringInfo(&text, "%s%s", i ? "," : "", who->roles[i]);
	return text.data;
}

typedef struct Row
{
	int64 id;
	int64 xid;
	int64 ordinal;
	TimestampTz at;
	const char *roles;
	const char *outcome;
	uint8 salt[GA_SALT_BYTES];
	uint8 bytes[GA_ENTRY_MAX_BYTES];
	size_t nbytes;
	uint8 leaf[GA_HASH_BYTES];
} Row;

static void
encode(Row *row, const GaAuditEvent *event, const char *details)
{
	const GaPrincipal *who = event->who;
	const char *session_user = event->session_user;
	const char *current_user = event->current_user;
	uint8 commitment[GA_HASH_BYTES];
	GaEntry entry;

	ga_audit_salt(row->salt, sizeof(row->salt));
	if (!ga_commitment(row->salt, details, strlen(details), commitment))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
		                errmsg("could not commit to the details of an audit entry")));
	if (!session_user)
		session_user = GetUserNameFromId(GetSessionUserId(), true);
	if (!current_user && OidIsValid(who->pg_role))
		current_user = GetUserNameFromId(who->pg_role, true);
	ga_entry_begin(&entry, row->bytes, sizeof(row->bytes));
	ga_entry_int(&entry, GA_ENTRY_ID, row->id);
	ga_entry_int(&entry, GA_ENTRY_XID, row->xid);
	ga_entry_int(&entry, GA_ENTRY_ORDINAL, row->ordinal);
	ga_entry_time(&entry, GA_ENTRY_AT, row->at + UNIX_EPOCH_US);
	ga_entry_text(&entry, GA_ENTRY_SESSION_USER, session_user);
	ga_entry_text(&entry, GA_ENTRY_CURRENT_USER, current_user);
	ga_entry_text(&entry, GA_ENTRY_TENANT, who->tenant);
	ga_entry_text(&entry, GA_ENTRY_SUBJECT, who->subject);
	ga_entry_text(&entry, GA_ENTRY_ROLE, row->roles);
	ga_entry_text(&entry, GA_ENTRY_TOKEN_ID, who->token_id);
	ga_entry_text(&entry, GA_ENTRY_ACTION, event->action);
	ga_entry_text(&entry, GA_ENTRY_RESOURCE_TYPE, event->resource_type);
	ga_entry_text(&entry, GA_ENTRY_RESOURCE_ID, event->resource_id);
	ga_entry_text(&entry, GA_ENTRY_OUTCOME, row->outcome);
	ga_entry_text(&entry, GA_ENTRY_REASON, event->reason);
	if (event->count > 1)
		ga_entry_int(&entry, GA_ENTRY_COUNT, event->count);
	ga_entry_bytes(&entry, GA_ENTRY_DETAILS, commitment, sizeof(commitment));
	row->nbytes = ga_entry_finish(&entry);
	if (row->nbytes == 0)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("audit entry is longer than %d bytes", GA_ENTRY_MAX_BYTES),
		                errhint("Put long values into the details.")));
	if (!ga_merkle_leaf(row->bytes, row->nbytes, row->leaf))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash an audit entry")));
}

static Datum
text_datum(const char *text)
{
	if (!text)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("an audit row lacks a text")));
	return CStringGetTextDatum(text);
}

/* In the order of the table's columns. */
static void
insert(const Row *row, const GaAuditEvent *event, const Jsonb *details, const char *details_text)
{
	Datum values[GA_AUDIT_COLUMNS] = {
	    text_datum(event->who->tenant),
	    Int64GetDatum(row->id),
	    TimestampTzGetDatum(row->at),
	    text_datum(event->who->subject),
	    text_datum(row->roles),
	    text_datum(event->action),
	    text_datum(event->resource_type),
	    text_datum(event->resource_id),
	    text_datum(row->outcome),
	    JsonbPGetDatum(details),
	    text_datum(details_text),
	    ga_bytea(row->salt, sizeof(row->salt)).value,
	    FullTransactionIdGetDatum(FullTransactionIdFromU64((uint64) row->xid)),
	    Int64GetDatum(row->ordinal),
	    ga_bytea(row->bytes, row->nbytes).value,
	    ga_bytea(row->leaf, sizeof(row->leaf)).value,
	};

	ga_audit_insert(values);
}

int64
ga_audit_event(const GaAuditEvent *event)
{
	FullTransactionId xid;
	const Jsonb *shown = event->details ? event->details : ga_json_pairs(NULL);
	/* The text that is committed to is stored too: jsonb may print otherwise in another release. */
	char *text = JsonbToCString(NULL, (JsonbContainer *) &shown->root, VARSIZE(shown));
	Row *row = palloc(sizeof(Row));

	/* What is recorded has an effect: a standby refuses it before the effect, as any write. */
	ga_require_writable(event->action);
	xid = GetTopFullTransactionId();
	row->id = ga_audit_next_id();
	row->xid = (int64) U64FromFullTransactionId(xid);
	row->ordinal = next_ordinal(xid);
	row->at = event->at;
	row->roles = joined_roles(event->who);
	row->outcome = outcome_names[event->outcome];
	encode(row, event, text);
	insert(row, event, shown, text);
	ga_count(GA_COUNT_AUDIT_ROWS);
	ga_wake_at_commit(GA_WORKER_SEALER);
	return row->id;
}

int64
ga_audit_as(const GaPrincipal *who, TimestampTz at, GaOutcome outcome, const char *action,
            const char *resource_type, const char *resource_id, const Jsonb *details)
{
	GaAuditEvent event = {.who = who,
	                      .at = at,
	                      .outcome = outcome,
	                      .action = action,
	                      .resource_type = resource_type,
	                      .resource_id = resource_id,
	                      .details = details};

	return ga_audit_event(&event);
}

int64
ga_audit(const char *action, const char *resource_type, const char *resource_id,
         const Jsonb *details)
{
	return ga_audit_as(ga_principal(), ga_now(), GA_OUTCOME_OK, action, resource_type, resource_id,
	                   details);
}

GA_FUNCTION(ga_sql_audit);
Datum
ga_sql_audit(PG_FUNCTION_ARGS)
{
	char *action;
	char *resource_type;
	char *resource_id;
	Jsonb *details;

	/* no permission to ask for, and no SQL to run: ga_audit() needs no ga_enter() */
	ga_require_writable("audit()");
	action = ga_arg_text(fcinfo, 0, "action");
	resource_type = ga_arg_text(fcinfo, 1, "resource_type");
	resource_id = ga_arg_text(fcinfo, 2, "resource_id");
	details = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	if (details && !JB_ROOT_IS_OBJECT(details))
		ga_bad_argument("details", "It must be a JSON object.");
	/* An application's word is told from ours by its prefix. */
	PG_RETURN_INT64(ga_audit(psprintf("app.%s", action), resource_type, resource_id, details));
}

GA_FUNCTION(ga_sql_audit_entry);
Datum
ga_sql_audit_entry(PG_FUNCTION_ARGS)
{
	static GaStmt find =
	    GA_READ("SELECT a.entry::pg_catalog.bytea FROM goldenarch.audit_entries a "
	            "WHERE a.id OPERATOR(pg_catalog.=) $1 AND a.tenant OPERATOR(pg_catalog.>=) $2 "
	            "AND a.tenant OPERATOR(pg_catalog.<=) $3",
	            INT8OID, TEXTOID, TEXTOID);
	GaCall call;
	GaRows rows;
	bytea *entry = NULL;

	ga_enter(&call, "audit.view");
	rows = ga_query(&find, ga_int8(ga_arg_int8(fcinfo, 0, "id", 1, PG_INT64_MAX)),
	                ga_text(ga_tenant_floor(call.principal)),
	                ga_text(ga_tenant_ceiling(call.principal)));
	if (rows.count == 1)
		entry = ga_row_bytea(&rows, 0, 1);
	ga_leave(&call);
	if (!entry)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(entry);
}
