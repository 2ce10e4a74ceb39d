/* SPDX-License-Identifier: PostgreSQL */
/*
 * Two ways to leave a trace. ga_audit() writes the row in the caller's transaction: it commits with
 * what it tells of, or not at all. A denial must outlive the caller's rollback: ga_deny() has the
 * row committed by another process before its error is raised; where that cannot be done the call
 * is still refused, with ZG009.
 */
#ifndef GOLDENARCH_AUDIT_H
#define GOLDENARCH_AUDIT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "goldenarch/compat.h"
#include "goldenarch/principal.h"

typedef enum GaOutcome
{
	GA_OUTCOME_OK,
	GA_OUTCOME_DENIED,
	GA_OUTCOME_FAILED
} GaOutcome;

/* Inside or outside ga_enter. details may be null. Returns the row's id. */
extern GA_EXPORT int64 ga_audit(const char *action, const char *resource_type,
                                const char *resource_id, const Jsonb *details);
extern int64 ga_audit_as(const GaPrincipal *who, TimestampTz at, GaOutcome outcome,
                         const char *action, const char *resource_type, const char *resource_id,
                         const Jsonb *details);

/* An entry in full: of another session, of several equal events, with a reason. */
typedef struct GaAuditEvent
{
	const GaPrincipal *who;
	const char *session_user; /* null: this session's */
	const char *current_user; /* null: the name of who->pg_role */
	TimestampTz at;
	GaOutcome outcome;
	const char *action;
	const char *resource_type;
	const char *resource_id;
	const char *reason; /* a code such as an SQLSTATE; may be null */
	int64 count;        /* of the equal events it stands for; 0 and 1: one */
	const Jsonb *details;
} GaAuditEvent;
extern int64 ga_audit_event(const GaAuditEvent *event);

typedef struct GaDenial
{
	int sqlstate; /* 42501, 28000, ZG007, ZG008 */
	const char *action;
	const char *resource_type;
	const char *resource_id;
	const char *message; /* the error's */
	const char *detail;  /* may be null */
	const char *hint;    /* may be null */
	const char *because; /* for the record alone, in place of the message; may be null */
} GaDenial;

/* Inside or outside ga_enter. */
extern GA_EXPORT void ga_deny(const GaDenial *denial) GA_NORETURN;

/*
 * Before a secret leaves the database: on disk when it returns, whatever becomes of the caller's
 * transaction. ZG009 where that cannot be had, 25006 on a standby; then nothing may leave. details
 * may be null; longer than 1000 bytes they are 54000.
 */
extern GA_EXPORT void ga_audit_durable(const char *action, const char *resource_type,
                                       const char *resource_id, const Jsonb *details);

/* The audit writer: serve this database, then write what waits; ms until it has more to do. */
extern GA_EXPORT void ga_denials_serve(const char *database);
extern GA_EXPORT long ga_denials_write(void);
/* Records in the spool file of this database, not yet in the table; -1: it cannot be read. */
extern GA_EXPORT int64 ga_denials_spooled(void);

#endif
