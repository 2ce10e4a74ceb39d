/* SPDX-License-Identifier: PostgreSQL */
/*
 * Approvals, for the capabilities that need one. A capability whose request has an effect of its
 * own at quorum (a prompt goes live) owns a kind: a line of the table in approval.c points to its
 * hooks, and request_approval() refuses that kind. All of it runs inside ga_enter.
 *
 * Lock order: what prepare() locks, the policy's row, the request's row.
 */
#ifndef GOLDENARCH_APPROVAL_H
#define GOLDENARCH_APPROVAL_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "goldenarch/principal.h"

typedef struct GaApproval
{
	int64 id;
	char *tenant;
	char *kind;
	char *subject;
	Jsonb *payload;
	char *requested_by;
	TimestampTz expires_at;
	int64 policy_version;
	int32 revision;
	char *digest; /* hexadecimal */
	char *state;  /* as stored: expiry is judged by who reads */
} GaApproval;

typedef struct GaApprovalHooks
{
	const char *kind;
	bool human; /* no agent decides it */
	/* before the request's row is locked: take the locks that come first */
	void (*prepare)(const GaApproval *approval);
	/* at quorum, the request approved: have the effect; the request is consumed when it returns */
	void (*approved)(const GaApproval *approval, const GaPrincipal *by, TimestampTz at);
	/* rejected, cancelled, expired or superseded; by null: nobody */
	void (*closed)(const GaApproval *approval, const char *state, const char *by,
	               const char *reason);
} GaApprovalHooks;

extern const GaApprovalHooks ga_prompt_approvals;

/* Open a request in the caller's tenant. */
extern GaApproval *ga_approval_open(const GaPrincipal *who, const char *kind, const char *subject,
                                    const Jsonb *payload, const char *reason, TimestampTz at);
/* approve() and reject(): the new state. digest may be null. */
extern const char *ga_approval_approve(const GaPrincipal *who, int64 id, const char *comment,
                                       const char *digest);
extern const char *ga_approval_reject(const GaPrincipal *who, int64 id, const char *reason);
/* Every other open request of the kind whose payload's member "key" is this value: superseded. */
extern void ga_approval_supersede(const char *tenant, const char *kind, const char *key,
                                  const char *value, int64 except, const char *reason);

/* Maintenance: what is overdue expires, what waits too long is escalated. */
extern int64 ga_approval_expire(void);
extern int64 ga_approval_escalate(void);

#endif
