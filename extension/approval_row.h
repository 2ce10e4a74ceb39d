/* SPDX-License-Identifier: PostgreSQL */
/*
 * What approval.c (rows) and approval_decide.c (decisions) share, and nobody else needs.
 */
#ifndef GOLDENARCH_APPROVAL_ROW_H
#define GOLDENARCH_APPROVAL_ROW_H

#include "approval.h"
#include "limits.h"

#include "goldenarch/query.h"

#define GA_APPROVAL_KIND_MAX 100                       /* bytes; kind and subject are index keys */
#define GA_APPROVAL_SUBJECT_MAX 500                    /* bytes */
#define GA_APPROVAL_TEXT_MAX 10000                     /* bytes of a reason or a comment */
#define GA_APPROVAL_DIGEST_HEX_LEN (2 * GA_HASH_BYTES) /* SHA-256 */

/* What ga_approval_of_row reads. */
#define GA_APPROVAL_COLUMNS                                                                \
	" id::pg_catalog.int8, tenant::pg_catalog.text, kind::pg_catalog.text,"                \
	" subject::pg_catalog.text, payload::pg_catalog.jsonb, requested_by::pg_catalog.text," \
	" expires_at::pg_catalog.timestamptz, policy_version::pg_catalog.int8,"                \
	" revision::pg_catalog.int4, pg_catalog.encode(digest, 'hex')::pg_catalog.text,"       \
	" state::pg_catalog.text"

typedef struct GaApprovalPolicy
{
	const char *permission;
	int32 quorum;
	int64 version;
	TimestampTz expires_at; /* of a request made now */
	Datum escalate_at;
	bool never_escalates;
} GaApprovalPolicy;

/* The hooks of a kind that a capability owns; null for every other kind. */
extern const GaApprovalHooks *ga_approval_hooks(const char *kind);

/* Argument reader: 22023. */
extern const Jsonb *ga_approval_payload(FunctionCallInfo fcinfo, int n);

/* Today's policy of the kind, share-locked. */
extern GaApprovalPolicy ga_approval_policy(const char *kind, TimestampTz at);
/* The request, locked after its kind's locks and its policy; 42704: none, or another tenant's. */
extern GaApproval *ga_approval_lock(const GaPrincipal *who, int64 id, GaApprovalPolicy *policy);
extern GaApproval *ga_approval_of_row(const GaRows *rows, uint64 row);

/* True while the stored content has the stored digest. */
extern bool ga_approval_intact(const GaApproval *a);
extern GaArg ga_approval_digest(const char *hex);

/* One edge of the machine: the row, its audit row, its event, the owner's hook. "to" is a literal;
 * by null: nobody. */
extern void ga_approval_move(GaApproval *a, const char *to, const char *by, const char *reason,
                             TimestampTz at);
/* Audit row approval.<what> and event prc.approval.<what>. */
extern void ga_approval_trace(const GaApproval *a, const char *what, const char *by,
                              const char *reason);

#endif
