/* SPDX-License-Identifier: PostgreSQL */
/*
 * What is told to the outside must not be undone by a crash here: a row is visible as soon as its
 * transaction has committed, which may be before that commit is on disk.
 */
#ifndef BRIDGE_WAL_H
#define BRIDGE_WAL_H

#include "postgres.h"

#include "access/xlogdefs.h"

/* Everything that was committed before the call is on disk; returns up to where. */
extern XLogRecPtr ga_wal_flush(void);
/* The same, and on the synchronous standbys, where there are any. */
extern void ga_wal_replicate(void);

#endif
