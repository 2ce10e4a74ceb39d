/* SPDX-License-Identifier: PostgreSQL */
/* Records that another process writes: see denial_record.h. Pure but for reading who calls. */
#include "denial_record.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/clock.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"

#define COMMON offsetof(GaRecord, outcome)

static void
put(char *field, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= size)
		len = pg_mbcliplen(text, (int) len, (int) size - 1);
	memcpy(field, text ? text : "", len);
}
#define PUT(field, text) put((field), sizeof(field), (text))

/* As many roles as fit, whole; "..." says that some did not. */
static void
put_roles(GaRecord *record, const GaPrincipal *who)
{
	size_t room = sizeof(record->roles) - sizeof(",...");
	size_t used = 0;
	int i;

	for (i = 0; i < who->nroles; i++)
	{
		if (used + strlen(who->roles[i]) + 1 > room)
		{
			strlcpy(record->roles + used, used ? ",..." : "...", sizeof(record->roles) - used);
			return;
		}
		used += (size_t) snprintf(record->roles + used, sizeof(record->roles) - used, "%s%s",
		                          used ? "," : "", who->roles[i]);
	}
}

static void
begin(GaRecord *record, GaOutcome outcome, const char *action, const char *resource_type,
      const char *resource_id)
{
	const GaPrincipal *who = ga_principal();

	memset(record, 0, sizeof(*record));
	record->at = record->last_at = ga_now();
	record->count = 1;
	record->outcome = outcome;
	PUT(record->pg_user, GetUserNameFromId(who->pg_role, true));
	PUT(record->session_user, GetUserNameFromId(GetSessionUserId(), true));
	PUT(record->subject, who->subject);
	PUT(record->tenant, who->tenant);
	put_roles(record, who);
	PUT(record->token_id, who->token_id);
	PUT(record->action, action);
	PUT(record->resource_type, resource_type);
	PUT(record->resource_id, resource_id && resource_id[0] ? resource_id : "-");
}

void
ga_record_denial(GaRecord *record, const GaDenial *denial)
{
	begin(record, GA_OUTCOME_DENIED, denial->action, denial->resource_type, denial->resource_id);
	PUT(record->sqlstate, unpack_sql_state(denial->sqlstate));
	PUT(record->text, denial->because ? denial->because : denial->message);
}

void
ga_record_intent(GaRecord *record, const char *action, const char *resource_type,
                 const char *resource_id, const Jsonb *details)
{
	char *text =
	    details ? JsonbToCString(NULL, (JsonbContainer *) &details->root, VARSIZE(details)) : "{}";

	begin(record, GA_OUTCOME_OK, action, resource_type, resource_id);
	if (strlen(text) >= sizeof(record->text))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("details of \"%s\" are longer than %zu bytes", action,
		                       sizeof(record->text) - 1)));
	PUT(record->text, text);
}

uint64
ga_record_hash(const GaRecord *record)
{
	return hash_bytes_extended((const unsigned char *) record + COMMON,
	                           (int) (sizeof(GaRecord) - COMMON), 0);
}

bool
ga_record_equal(const GaRecord *a, const GaRecord *b)
{
	return memcmp((const char *) a + COMMON, (const char *) b + COMMON,
	              sizeof(GaRecord) - COMMON) == 0;
}

static Jsonb *
details_of(const GaRecord *record)
{
	GaJson json;

	if (record->sqlstate[0] == '\0')
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(record->text)));
	ga_json_begin_object(&json);
	ga_json_text(&json, "sqlstate", record->sqlstate);
	ga_json_text(&json, "message", record->text);
	ga_json_text(&json, "pg_role", record->pg_user);
	if (record->count > 1)
	{
		ga_json_int8(&json, "count", record->count);
		ga_json_timestamp(&json, "first_at", record->at);
		ga_json_timestamp(&json, "last_at", record->last_at);
	}
	return ga_json_end(&json);
}

void
ga_record_write(const GaRecord *record)
{
	const char *roles[2] = {record->roles, NULL};
	GaPrincipal who = {.subject = record->subject,
	                   .tenant = record->tenant,
	                   .roles = roles,
	                   .nroles = record->roles[0] ? 1 : 0,
	                   .token_id = record->token_id[0] ? record->token_id : NULL,
	                   .expires_at = DT_NOEND};
	GaAuditEvent event = {.who = &who,
	                      .session_user = record->session_user,
	                      .current_user = record->pg_user[0] ? record->pg_user : NULL,
	                      .at = record->at,
	                      .outcome = (GaOutcome) record->outcome,
	                      .action = record->action,
	                      .resource_type = record->resource_type,
	                      .resource_id = record->resource_id,
	                      .reason = record->sqlstate[0] ? record->sqlstate : NULL,
	                      .count = record->count,
	                      .details = details_of(record)};

	(void) ga_audit_event(&event);
}

/* The texts, in the order in which they are packed: a u16 length each, then the bytes. */
#define TEXT(field)                                                   \
	{                                                                 \
		offsetof(GaRecord, field), sizeof(((GaRecord *) NULL)->field) \
	}
static const struct
{
	size_t offset;
	size_t size;
} texts[] = {
    TEXT(pg_user),     TEXT(session_user), TEXT(subject), TEXT(tenant),
    TEXT(roles),       TEXT(token_id),     TEXT(action),  TEXT(resource_type),
    TEXT(resource_id), TEXT(sqlstate),     TEXT(text),
};

size_t
ga_record_pack(const GaRecord *record, uint8 *out)
{
	uint64 numbers[4] = {pg_hton64((uint64) record->at), pg_hton64((uint64) record->last_at),
	                     pg_hton64((uint64) record->count), pg_hton64((uint64) record->outcome)};
	uint8 *at = out;
	int i;

	memcpy(at, numbers, sizeof(numbers));
	at += sizeof(numbers);
	for (i = 0; i < (int) lengthof(texts); i++)
	{
		const char *text = (const char *) record + texts[i].offset;
		size_t len = strlen(text);
		uint16 length = pg_hton16((uint16) len);

		memcpy(at, &length, sizeof(length));
		memcpy(at + sizeof(length), text, len);
		at += sizeof(length) + len;
	}
	return (size_t) (at - out);
}

bool
ga_record_unpack(GaRecord *record, const uint8 *data, size_t bytes)
{
	const uint8 *end = data + bytes;
	uint64 numbers[4];
	int i;

	memset(record, 0, sizeof(*record));
	if (bytes < sizeof(numbers))
		return false;
	memcpy(numbers, data, sizeof(numbers));
	data += sizeof(numbers);
	record->at = (TimestampTz) pg_ntoh64(numbers[0]);
	record->last_at = (TimestampTz) pg_ntoh64(numbers[1]);
	record->count = (int64) pg_ntoh64(numbers[2]);
	record->outcome = (int32) pg_ntoh64(numbers[3]);
	for (i = 0; i < (int) lengthof(texts); i++)
	{
		uint16 length;

		if (end - data < (ptrdiff_t) sizeof(length))
			return false;
		memcpy(&length, data, sizeof(length));
		length = pg_ntoh16(length);
		data += sizeof(length);
		if (end - data < length || length >= texts[i].size)
			return false;
		memcpy((char *) record + texts[i].offset, data, length);
		data += length;
	}
	return data == end && record->outcome >= GA_OUTCOME_OK && record->outcome <= GA_OUTCOME_FAILED;
}
