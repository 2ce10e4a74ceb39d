/* SPDX-License-Identifier: PostgreSQL */
/* Flushing what was committed (wal.h). Holds no lock; works inside and outside transactions. */
#include "wal.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/syncrep.h"

/*
 * Where the next record goes. At the start of a page that is behind the page's header, which is not
 * written yet: nobody can wait for that.
 */
static XLogRecPtr
written_so_far(void)
{
	XLogRecPtr next = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(next, wal_segment_size) == SizeOfXLogLongPHD)
		return next - SizeOfXLogLongPHD;
	if (next % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return next - SizeOfXLogShortPHD;
	return next;
}

XLogRecPtr
ga_wal_flush(void)
{
	XLogRecPtr upto = written_so_far();

	XLogFlush(upto);
	return upto;
}

void
ga_wal_replicate(void)
{
	XLogRecPtr upto = ga_wal_flush();

	HOLD_INTERRUPTS();
	SyncRepWaitForLSN(upto, false);
	RESUME_INTERRUPTS();
	/* A wait that was broken off has waited for nothing. */
	CHECK_FOR_INTERRUPTS();
}
