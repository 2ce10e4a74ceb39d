/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the bridge's workers tell of themselves, in shared memory, one slot a database: written by
 * relay, ingest and mirror, read by bridge_status and health(). There only when preloaded; without
 * it the writers do nothing.
 */
#ifndef GOLDENARCH_BRIDGE_H
#define GOLDENARCH_BRIDGE_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "goldenarch/compat.h"

typedef enum GaLink
{
	GA_LINK_OFF, /* no address is set, or the worker does not run */
	GA_LINK_CONNECTING,
	GA_LINK_CONNECTED,
	GA_LINK_DOWN
} GaLink;

typedef enum GaPeer
{
	GA_PEER_NATS,   /* as the relay sees it */
	GA_PEER_INGEST, /* NATS, as the last ingest worker to say so sees it */
	GA_PEER_REDIS,
	GA_PEER_COUNT
} GaPeer;

/* server and error may be null: keep what is known. An error is kept until the next one. */
extern GA_EXPORT void ga_bridge_report_link(GaPeer peer, GaLink link, const char *server,
                                            const char *error);
/* The relay, about once a second: rows that wait, exact up to a bound. */
extern GA_EXPORT void ga_bridge_report_backlog(int64 rows);
/* Counted for this database. */
extern GA_EXPORT void ga_bridge_report_published(int64 sent, int64 acked);
extern GA_EXPORT void ga_bridge_report_consumed(int64 handled, int64 failed);

/*
 * May this handler run as this role on the word of a row in subscriptions? Whoever owns the tables
 * can write there what he likes; a process connected as a role must not become his way to its
 * rights. So the function belongs to the role or to a superuser, or the tables' owner has the
 * role's privileges anyway. In a transaction.
 */
extern GA_EXPORT bool ga_handler_trusted(Oid handler, Oid role);

#endif
