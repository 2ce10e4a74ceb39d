/* SPDX-License-Identifier: PostgreSQL */
/*
 * The second sink: a file below the data directory, one a database, in which the audit writer keeps
 * what it could not write to the table. A record is there when append returns true: flushed, behind
 * checks that a torn tail does not pass. The file has a random generation; how far one has been
 * replayed is a row of the same transaction as the replay, so each record reaches the table once.
 *
 * All but ga_spool_count is the writer's alone, which holds a lock for its life. Failures of the
 * file are logged and told, never raised.
 */
#ifndef DENIAL_SPOOL_H
#define DENIAL_SPOOL_H

#include "postgres.h"

#include "core/journal.h"
#include "denial_record.h"

/* Take up the file that an earlier writer left; cut a torn tail off. */
extern void ga_spool_open(void);
/* Records that are not known to be in the table; -1: there is a file that cannot be read. */
extern int64 ga_spool_waiting(void);

typedef const GaRecord *(*GaSpoolSource)(const void *arg, int i);
extern bool ga_spool_append(GaSpoolSource source, const void *arg, int n);

/*
 * Replaying: from the position that the table has for the generation, read records, note the
 * position in the same transaction; when nothing is left, remove the file.
 */
extern const uint8 *ga_spool_generation(void);
extern void ga_spool_seek(int64 position);
extern bool ga_spool_read(GaRecord *record);
extern int64 ga_spool_position(void);
/* What was read is in the table. True: that was all, and the file is gone. */
extern bool ga_spool_replayed(void);

/* Any process: the records in the file, or -1 where it cannot be read. */
extern int64 ga_spool_count(void);

#endif
