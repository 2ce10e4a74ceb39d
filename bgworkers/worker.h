/* SPDX-License-Identifier: PostgreSQL */
/*
 * The one shape of every worker: start, then loop over wait, work, report. SIGTERM ends it through
 * die() with a non-zero exit, so that the postmaster starts it again unless it is stopping itself.
 */
#ifndef WORKER_H
#define WORKER_H

#include "goldenarch/compat.h"
#include "goldenarch/queue.h"

/*
 * Signals, connection to the database that bgw_extra names (as superuser: every transaction is
 * switched to the owner by ga_worker_begin), and waiting until the extension is installed there.
 */
extern GA_EXPORT void ga_worker_start(GaWorker worker);
/* The same, connected as this role: for workers that run a caller's own functions. */
extern GA_EXPORT void ga_worker_start_as(GaWorker worker, Oid database, Oid role);

/*
 * Wait for the latch or the time; reload settings when asked to. True: woken by the latch. Ends the
 * process on SIGTERM or the postmaster's death.
 */
extern GA_EXPORT bool ga_worker_wait(long timeout_ms);

/* What pg_stat_activity shows: null is idle. */
extern GA_EXPORT void ga_worker_report(const char *what);

/*
 * One transaction as the owner: begin, body(arg), commit. False: it failed, was rolled back and is
 * in the server log; the worker goes on.
 */
extern GA_EXPORT bool ga_worker_transaction(const char *what, void (*body)(void *arg), void *arg);

#endif
