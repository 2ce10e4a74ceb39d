/* SPDX-License-Identifier: PostgreSQL */
/*
 * Waking our workers, and the outbox.
 *
 * A wake-up is a latch set after commit; it is never NOTIFY in the caller's transaction. Workers
 * also look by themselves now and then, so a lost wake-up costs time, never a row. Without preload
 * there is no shared table of latches and workers poll.
 */
#ifndef GOLDENARCH_QUEUE_H
#define GOLDENARCH_QUEUE_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "goldenarch/compat.h"

typedef enum GaWorker
{
	GA_WORKER_MAINTENANCE,
	GA_WORKER_RELAY,
	GA_WORKER_INGEST,
	GA_WORKER_MIRROR,
	GA_WORKER_METRICS,
	GA_WORKER_AUDIT_WRITER,
	GA_WORKER_SEALER,
	GA_WORKER_COUNT
} GaWorker;

/* When (and if) the transaction commits. A rolled-back savepoint may still wake. */
extern GA_EXPORT void ga_wake_at_commit(GaWorker worker);
/* In a worker, once connected: this process is the one to wake for MyDatabaseId, until it exits. */
extern GA_EXPORT void ga_worker_register(GaWorker worker);
/* Pid of the registered worker of this database, 0 where there is none. */
extern GA_EXPORT int ga_worker_pid(GaWorker worker);

/*
 * Append to the outbox in the caller's transaction, inside ga_enter, and wake the relay at commit.
 * headers may be null; msg_id null: made from the row. Returns the outbox id. The caller has
 * checked the permission.
 */
extern GA_EXPORT int64 ga_outbox_publish(const char *tenant, const char *subject,
                                         const Jsonb *payload, const Jsonb *headers,
                                         const char *msg_id);

#endif
