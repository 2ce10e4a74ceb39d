/* SPDX-License-Identifier: PostgreSQL */
/*
 * The audit writer: woken by those whose denial waits in the ring, it writes what waits. All it
 * knows is in extension/denial_writer.c; the loop is here.
 */
#include "worker.h"

#include "postmaster/bgworker.h"

#include "goldenarch/audit.h"

extern GA_EXPORT void ga_audit_writer_main(Datum arg);

void
ga_audit_writer_main(Datum arg)
{
	(void) arg;
	ga_worker_start(GA_WORKER_AUDIT_WRITER);
	ga_denials_serve(MyBgworkerEntry->bgw_extra);
	for (;;)
	{
		long wait_ms = ga_denials_write();

		(void) ga_worker_wait(Max(wait_ms, 1));
	}
}
