/* SPDX-License-Identifier: PostgreSQL */
/*
 * Dead letters: what could not be published, handled or worked on is kept whole in a table, and a
 * copy goes out on dlq.<subject>; a dead-lettered escalation also publishes alerts.critical. All of
 * it in the caller's transaction, inside ga_enter; the caller has checked the permission.
 */
#ifndef GOLDENARCH_DEADLETTER_H
#define GOLDENARCH_DEADLETTER_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "goldenarch/compat.h"

typedef struct GaDeadLetter
{
	const char *tenant; /* "" where there is none */
	const char *source; /* publish | consume | task */
	const char *subject;
	const void *payload;
	size_t payload_bytes;
	const Jsonb *headers; /* may be null */
	const char *error;
	int error_count;
	const char *origin; /* subscription, outbox id or task id */
	/* Where it was in a stream; consume alone. */
	const char *stream; /* may be null */
	int64 seq;
	const char *msg_id;       /* may be null */
	TimestampTz published_at; /* 0: unknown */
} GaDeadLetter;

/* Returns the id of the row in dlq_messages. */
extern GA_EXPORT int64 ga_dead_letter(const GaDeadLetter *letter);

#endif
