/* SPDX-License-Identifier: PostgreSQL */
/*
 * A denial that outlives the caller's rollback: the row is written and committed by a one-shot
 * background worker, and only then is the error raised. The caller waits no longer than
 * goldenarch.audit_wait; when the row is not there by then it is refused all the same, with ZG009.
 * The worker takes no lock that a caller could hold but those of inserting the row.
 */
#include "goldenarch/audit.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/oneshot.h"
#include "goldenarch/query.h"
#include "limits.h"

/* What the worker writes. Texts are cut to fit, at a character's end. */
typedef struct Record
{
	TimestampTz at;
	GaPrincipalKind kind;
	Oid pg_role;
	char pg_user[NAMEDATALEN];
	char session_user[NAMEDATALEN];
	char subject[GA_SUBJECT_MAX_BYTES + 1];
	char tenant[GA_TENANT_MAX_BYTES + 1];
	char roles[512]; /* joined by a comma */
	char token_id[128];
	char action[128];
	char resource_type[64];
	char resource_id[512];
	char sqlstate[6];
	char message[512];
} Record;

extern GA_EXPORT void ga_denial_worker_main(Datum arg);

static void
put(char *field, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= size)
		len = pg_mbcliplen(text, (int) len, (int) size - 1);
	memcpy(field, text ? text : "", len);
	field[len] = '\0';
}
#define PUT(field, text) put((field), sizeof(field), (text))

/* As many roles as fit, whole; "..." says that some did not. */
static void
put_roles(Record *record, const GaPrincipal *who)
{
	size_t used = 0;
	int i;

	record->roles[0] = '\0';
	for (i = 0; i < who->nroles; i++)
	{
		size_t len = strlen(who->roles[i]);

		if (used + len + 1 > sizeof(record->roles) - sizeof(",..."))
		{
			strlcpy(record->roles + used, used ? ",..." : "...", sizeof(record->roles) - used);
			return;
		}
		used += (size_t) snprintf(record->roles + used, sizeof(record->roles) - used, "%s%s",
		                          used ? "," : "", who->roles[i]);
	}
}

static void
fill(Record *record, const GaDenial *denial)
{
	const GaPrincipal *who = ga_principal();

	memset(record, 0, sizeof(*record));
	record->at = ga_now();
	record->kind = who->kind;
	record->pg_role = who->pg_role;
	PUT(record->subject, who->subject);
	PUT(record->tenant, who->tenant);
	PUT(record->pg_user, GetUserNameFromId(who->pg_role, true));
	PUT(record->session_user, GetUserNameFromId(GetSessionUserId(), true));
	put_roles(record, who);
	PUT(record->token_id, who->token_id);
	PUT(record->action, denial->action);
	PUT(record->resource_type, denial->resource_type);
	PUT(record->resource_id, denial->resource_id);
	PUT(record->sqlstate, unpack_sql_state(denial->sqlstate));
	PUT(record->message, denial->because ? denial->because : denial->message);
}

/* True when the row is on disk. Interrupts are held: a cancelled wait must not lose the record. */
static bool
record_durably(const GaDenial *denial)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ga_guc_audit_wait);
	Record *record = palloc(sizeof(Record));
	bool written;

	fill(record, denial);
	HOLD_INTERRUPTS();
	written =
	    ga_one_shot("ga_denial_worker_main", GA_ONE_SHOT_DENIAL, record, sizeof(Record), deadline);
	RESUME_INTERRUPTS();
	return written;
}

void
ga_deny(const GaDenial *denial)
{
	bool standby = RecoveryInProgress();
	bool written = false;

	if (!standby)
		written = record_durably(denial);
	if (!standby && !written)
	{
		ga_count(GA_COUNT_DENIAL_LOST);
		ereport(
		    ERROR,
		    (errcode(GA_ERR_AUDIT_UNAVAILABLE), errmsg("%s", denial->message),
		     errdetail("The denial could not be recorded within goldenarch.audit_wait (%d ms).",
		               ga_guc_audit_wait),
		     errhint("The call stays refused. Look at max_worker_processes and the server log.")));
	}
	ereport(ERROR,
	        (errcode(denial->sqlstate), errmsg("%s", denial->message),
	         denial->detail || standby
	             ? errdetail("%s%s%s", denial->detail ? denial->detail : "",
	                         denial->detail && standby ? " " : "",
	                         standby ? "The denial could not be recorded: this is a standby." : "")
	             : 0,
	         denial->hint ? errhint("%s", denial->hint) : 0));
}

void
ga_denial_worker_main(Datum arg)
{
	GaPrincipal who = {.expires_at = DT_NOEND};
	GaAuditEvent event = {.who = &who, .outcome = GA_OUTCOME_DENIED};
	const char *roles[2] = {NULL, NULL};
	GaOneShot shot;
	const Record *record = ga_one_shot_begin(arg, &shot, sizeof(Record));
	GaCall call;

	ga_worker_begin(&call);
	roles[0] = record->roles;
	who.kind = record->kind;
	who.subject = record->subject;
	who.tenant = record->tenant;
	who.roles = roles;
	who.nroles = record->roles[0] ? 1 : 0;
	who.token_id = record->token_id[0] ? record->token_id : NULL;
	who.pg_role = record->pg_role;
	event.session_user = record->session_user;
	event.current_user = record->pg_user;
	event.at = record->at;
	event.action = record->action;
	event.resource_type = record->resource_type;
	event.resource_id = record->resource_id[0] ? record->resource_id : "-";
	event.reason = record->sqlstate;
	event.details = ga_json_pairs("sqlstate", record->sqlstate, "message", record->message,
	                              "pg_role", record->pg_user, NULL);
	(void) ga_audit_event(&event);
	ForceSyncCommit();
	ga_worker_commit(&call);
	ga_one_shot_committed(&shot);
}
