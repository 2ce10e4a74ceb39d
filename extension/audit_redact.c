/* SPDX-License-Identifier: PostgreSQL */
/*
 * redact_audit: erasure in a log that may not change. What an entry's bytes hold is a commitment to
 * the details; the details and the salt that opens it go, the bytes and every proof over them stay.
 * Without the salt the commitment tells nothing, not even whether a guess is right.
 *
 * Entered here: the act, as an audit row of its own in the same transaction; audit_verify() takes
 * details that are gone without one for tampering. Old row versions, WAL and backups hold the bytes
 * until VACUUM, recycling and expiry take them.
 */
#include "goldenarch/compat.h"

#include "append_only.h"
#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "limits.h"

static void
refuse(const GaCall *call, int64 id)
{
	static GaStmt find = GA_STMT("SELECT 1::pg_catalog.int8 FROM goldenarch.audit_entries e WHERE "
	                             "e.id OPERATOR(pg_catalog.=) $1 AND e.tenant "
	                             "OPERATOR(pg_catalog.>=) $2 AND e.tenant OPERATOR(pg_catalog.<=) "
	                             "$3",
	                             INT8OID, TEXTOID, TEXTOID);

	if (ga_query(&find, ga_int8(id), ga_text(ga_tenant_floor(call->principal)),
	             ga_text(ga_tenant_ceiling(call->principal)))
	        .count > 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("audit row %lld is redacted already", (long long) id)));
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
	                errmsg("audit row %lld does not exist", (long long) id)));
}

GA_FUNCTION(ga_redact_audit);
Datum
ga_redact_audit(PG_FUNCTION_ARGS)
{
	static GaStmt erase = GA_STMT(
	    "UPDATE goldenarch.audit_entries e SET details = NULL, details_text = NULL, salt = NULL "
	    "WHERE e.id OPERATOR(pg_catalog.=) $1 AND e.tenant OPERATOR(pg_catalog.>=) $2 AND e.tenant "
	    "OPERATOR(pg_catalog.<=) $3 AND (e.details IS NOT NULL OR e.details_text IS NOT NULL OR "
	    "e.salt IS NOT NULL)",
	    INT8OID, TEXTOID, TEXTOID);
	GaCall call;
	int64 id;
	char *reason;

	ga_enter(&call, "audit.redact");
	ga_require_writable("redact_audit()");
	id = ga_arg_int8(fcinfo, 0, "id", 1, PG_INT64_MAX);
	reason = ga_arg_text_max(fcinfo, 1, "reason", GA_REASON_MAX_BYTES, false);
	if (ga_query_lifted(&erase, ga_int8(id), ga_text(ga_tenant_floor(call.principal)),
	                    ga_text(ga_tenant_ceiling(call.principal)))
	        .count == 0)
		refuse(&call, id);
	(void) ga_audit("audit.redact", "audit_entry", psprintf("%lld", (long long) id),
	                ga_json_pairs("reason", reason, NULL));
	ga_leave(&call);
	PG_RETURN_VOID();
}
