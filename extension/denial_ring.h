/* SPDX-License-Identifier: PostgreSQL */
/*
 * The ring of waiting records, one for each database of goldenarch.databases, in shared memory.
 * Callers put a record and wait; the audit writer of the database takes all that wait, makes them
 * durable together, and says so. Places are numbered without end: tail <= taken <= head, a record
 * is durable when tail has passed its number. What [tail, taken) holds is the writer's alone; what
 * is in [taken, head) may still grow in count.
 *
 * A record that was put stays until it is durable, whatever becomes of its caller. A crash of the
 * server forgets what was not: nobody was told of it.
 */
#ifndef DENIAL_RING_H
#define DENIAL_RING_H

#include "postgres.h"

#include "denial_record.h"

typedef struct GaRing GaRing;

typedef enum GaRingResult
{
	GA_RING_DURABLE,
	GA_RING_NO_WRITER, /* nothing was put */
	GA_RING_FULL,      /* nothing was put by the deadline */
	GA_RING_LATE       /* put, and not durable by the deadline */
} GaRingResult;

/* This database's ring; null where there is none. */
extern GaRing *ga_ring_mine(void);

/*
 * Put the record and wait. A cancel or the end of this backend ends the wait once the record is
 * put; the wait for a place holds interrupts, so that no cancel makes a denial unrecorded.
 */
extern GaRingResult ga_ring_record(GaRing *ring, const GaRecord *record, TimestampTz deadline);

/* The writer: this process serves the ring of its database, until it exits. Null: none. */
extern GaRing *ga_ring_serve(const char *database);
/* Number of records taken, the first of which is ga_ring_taken(ring, 0). */
extern int ga_ring_take(GaRing *ring);
extern const GaRecord *ga_ring_taken(const GaRing *ring, int i);
/* They are durable: their callers go on. Nothing here can fail. */
extern void ga_ring_done(GaRing *ring);
/* They could not be written now: they wait again. */
extern void ga_ring_put_back(GaRing *ring);

/* What the writer tells health(): records in its spool. */
extern void ga_ring_tell_spooled(GaRing *ring, int64 records);
/* False where no writer keeps the number. */
extern bool ga_ring_spooled(int64 *records);

extern Size ga_ring_shmem_size(void);
extern void ga_ring_shmem_init(void *part);
extern void *ga_ring_shared;

#endif
