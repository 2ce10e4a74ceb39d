/* SPDX-License-Identifier: PostgreSQL */
/*
 * The relay's side of the outbox: what to publish next, and what became of it. Each function is one
 * transaction of its own, so none is open while the network is used. False: it failed, is logged,
 * and nothing changed.
 */
#ifndef BRIDGE_OUTBOX_H
#define BRIDGE_OUTBOX_H

#include "postgres.h"

#include "utils/jsonb.h"

#define GA_PAGE_ROWS 500
#define GA_PAGE_BYTES (4 * 1024 * 1024)

typedef enum GaFate
{
	GA_FATE_OPEN, /* not sent, or no answer came: it is read again */
	GA_FATE_ACKED,
	GA_FATE_WAITS,     /* an earlier message of its subject is parked: it queues behind */
	GA_FATE_REFUSED,   /* no stream took it: park it */
	GA_FATE_UNSENDABLE /* it can never be sent: dead-letter it */
} GaFate;

typedef struct GaOutboxRow
{
	int64 id;
	char *tenant;
	char *subject;
	char *msg_id;
	Jsonb *headers;
	bytea *payload;
	int attempts; /* of a parked one */
	GaFate fate;
	char *error; /* of the last two fates */
} GaOutboxRow;

typedef struct GaPage
{
	MemoryContext context;
	GaOutboxRow *rows;
	int n;
	bool parked; /* from outbox_parked, else from the outbox itself */
	bool whole;  /* nothing of the batch is left after it */
} GaPage;

/* After a restore into another cluster: rows that its relay had not published become ours. */
extern bool ga_outbox_adopt(void);
/* page->context must exist; it is reset first. n = 0: nothing to do now. */
extern bool ga_outbox_read(GaPage *page);
/* Parked messages that are due. *next_ms: when to look again, at most a second. */
extern bool ga_outbox_read_parked(GaPage *page, long *next_ms);
/* Fates of the rows, up to and without the first open one. Returns how many in *settled. */
extern bool ga_outbox_settle(GaPage *page, int *settled);
/* Rows that wait, counted up to a bound; to bridge_status. */
extern bool ga_outbox_count(void);

#endif
