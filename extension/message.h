/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the messaging files share: appending bytes to the outbox, checks of subjects and headers.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "goldenarch/query.h"

typedef struct GaOutgoing
{
	const char *tenant;
	const char *subject;
	const void *payload;
	size_t payload_bytes;
	const Jsonb *headers; /* null: none */
	const char *msg_id;   /* null: made from the row */
} GaOutgoing;

/* Inside ga_enter. Nothing is checked here but the size of the backlog. */
extern int64 ga_outbox_append(const GaOutgoing *message);

/* A job of maintenance.c. */
extern int64 ga_message_retain(void);

#endif
