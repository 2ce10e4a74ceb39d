/* SPDX-License-Identifier: PostgreSQL */
/*
 * The ring of waiting records (denial_ring.h). One LWLock a ring, held for a scan of the places
 * in use and the copy of a record; nothing is acquired under it. Callers sleep on condition
 * variables: one of two until their record is durable, so that those of the next batch are not
 * woken with those of this one, and one until a place is free.
 *
 * Fairness: a subject holds at most a sixteenth of the places, its tenant (without one, its
 * PostgreSQL role) a quarter, and the last eighth is for tenants and roles that hold none. Equal
 * denials that arrive while one of them waits share its place.
 */
#include "denial_ring.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#include "goldenarch/guc.h"
#include "goldenarch/shmem.h"
#include "launch.h"

#define SUBJECT_SHARE 16
#define GROUP_SHARE 4
#define RESERVE_SHARE 8
#define ROOM_POLL_MS 50

/* Who holds a place, apart from the record so that a scan stays within a few cache lines. */
typedef struct Holder
{
	uint64 hash;    /* of the record */
	uint64 subject; /* whose it is */
	uint64 group;   /* its tenant or role */
} Holder;

struct GaRing
{
	char database[NAMEDATALEN];
	Oid oid;       /* of the database, once a writer has served it */
	Latch *writer; /* null: none serves it now */
	LWLock lock;
	uint64 head;
	uint64 taken;
	pg_atomic_uint64 tail;
	uint64 batch; /* number of takes */
	bool mixed;   /* some wait for a batch that was put back */
	ConditionVariable done[2];
	ConditionVariable room;
	pg_atomic_uint64 spooled;
};

typedef struct Rings
{
	int count;
	int places; /* of each */
	GaRing ring[FLEXIBLE_ARRAY_MEMBER];
} Rings;

void *ga_ring_shared;

static Size
header_size(int rings)
{
	return MAXALIGN(offsetof(Rings, ring) + (Size) rings * sizeof(GaRing));
}

Size
ga_ring_shmem_size(void)
{
	int rings = list_length(ga_listed_databases());

	return header_size(rings) +
	       (Size) rings * (Size) ga_guc_max_denials_waiting * (sizeof(Holder) + sizeof(GaRecord));
}

void
ga_ring_shmem_init(void *part)
{
	Rings *rings = part;
	ListCell *cell;

	rings->places = ga_guc_max_denials_waiting;
	foreach (cell, ga_listed_databases())
	{
		GaRing *ring = &rings->ring[rings->count++];

		strlcpy(ring->database, lfirst(cell), sizeof(ring->database));
		LWLockInitialize(&ring->lock, ga_lwlock_tranche());
		pg_atomic_init_u64(&ring->tail, 0);
		pg_atomic_init_u64(&ring->spooled, 0);
		ConditionVariableInit(&ring->done[0]);
		ConditionVariableInit(&ring->done[1]);
		ConditionVariableInit(&ring->room);
	}
}

/* Behind the header: the holders of every ring, then the records of every ring. */
static Size
place_of(const GaRing *ring, uint64 number)
{
	const Rings *rings = ga_ring_shared;

	return (Size) (ring - rings->ring) * (Size) rings->places + number % (uint64) rings->places;
}

static Holder *
holder_at(const GaRing *ring, uint64 number)
{
	Rings *rings = ga_ring_shared;

	return (Holder *) ((char *) rings + header_size(rings->count)) + place_of(ring, number);
}

static GaRecord *
record_at(const GaRing *ring, uint64 number)
{
	Rings *rings = ga_ring_shared;
	Holder *holders = (Holder *) ((char *) rings + header_size(rings->count));

	return (GaRecord *) (holders + (Size) rings->count * (Size) rings->places) +
	       place_of(ring, number);
}

GaRing *
ga_ring_mine(void)
{
	Rings *rings = ga_ring_shared;
	int i;

	for (i = 0; rings && i < rings->count; i++)
		if (rings->ring[i].oid == MyDatabaseId)
			return &rings->ring[i];
	return NULL;
}

static uint64
hash_text(const char *text, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) text, (int) strlen(text), seed);
}

/* Without a tenant a subject is told by its PostgreSQL role: "anonymous" is everybody's name. */
static Holder
describe(const GaRecord *record)
{
	bool tenant = record->tenant[0] != '\0';
	Holder holder = {.hash = ga_record_hash(record)};

	holder.group = hash_text(tenant ? record->tenant : record->pg_user, tenant);
	holder.subject = hash_text(record->subject, holder.group);
	return holder;
}

/* The place that an equal denial waits in; it stands for this one too. */
static bool
share_place(GaRing *ring, const GaRecord *record, const Holder *holder, uint64 *number)
{
	uint64 n;

	if (record->outcome != GA_OUTCOME_DENIED)
		return false;
	for (n = ring->taken; n < ring->head; n++)
	{
		GaRecord *other = record_at(ring, n);

		if (holder_at(ring, n)->hash != holder->hash || !ga_record_equal(other, record))
			continue;
		other->count += record->count;
		other->at = Min(other->at, record->at);
		other->last_at = Max(other->last_at, record->last_at);
		*number = n;
		return true;
	}
	return false;
}

static bool
may_take_place(const GaRing *ring, const Holder *holder)
{
	int places = ((const Rings *) ga_ring_shared)->places;
	uint64 n = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &ring->tail));
	int used = (int) (ring->head - n);
	int subject = 0;
	int group = 0;

	if (used == places)
		return false;
	for (; n < ring->head; n++)
	{
		const Holder *other = holder_at(ring, n);

		group += other->group == holder->group;
		subject += other->subject == holder->subject;
	}
	if (places - used <= places / RESERVE_SHARE)
		return group == 0;
	return subject < places / SUBJECT_SHARE && group < places / GROUP_SHARE;
}

typedef enum Put
{
	PUT,
	NO_PLACE,
	NO_WRITER
} Put;

typedef struct Place
{
	uint64 number;
	ConditionVariable *done;
} Place;

static Put
put(GaRing *ring, const GaRecord *record, const Holder *holder, Place *place)
{
	Latch *writer;
	Put answer = PUT;

	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	writer = ring->writer;
	if (!writer || ring->oid != MyDatabaseId)
		answer = NO_WRITER;
	else if (share_place(ring, record, holder, &place->number))
		writer = NULL; /* it was woken for the first of them */
	else if (may_take_place(ring, holder))
	{
		place->number = ring->head;
		*holder_at(ring, ring->head) = *holder;
		memcpy(record_at(ring, ring->head), record, sizeof(GaRecord));
		ring->head++;
	}
	else
		answer = NO_PLACE;
	place->done = &ring->done[(ring->batch + 1) % 2];
	LWLockRelease(&ring->lock);
	if (answer == PUT && writer)
		SetLatch(writer);
	return answer;
}

static long
ms_left(TimestampTz deadline)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
}

static Put
put_in_time(GaRing *ring, const GaRecord *record, TimestampTz deadline, Place *place)
{
	Holder holder = describe(record);
	Put answer;

	HOLD_INTERRUPTS();
	while ((answer = put(ring, record, &holder, place)) == NO_PLACE)
	{
		long left = ms_left(deadline);

		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&ring->room, Min(left, ROOM_POLL_MS),
		                                   GA_WAIT_EVENT("GoldenarchDenialRoom"));
	}
	ConditionVariableCancelSleep();
	RESUME_INTERRUPTS();
	return answer;
}

GaRingResult
ga_ring_record(GaRing *ring, const GaRecord *record, TimestampTz deadline)
{
	Place place = {0};
	Put answer = put_in_time(ring, record, deadline, &place);

	if (answer != PUT)
		return answer == NO_PLACE ? GA_RING_FULL : GA_RING_NO_WRITER;
	ConditionVariablePrepareToSleep(place.done);
	while (pg_atomic_read_u64(&ring->tail) <= place.number)
	{
		long left = ms_left(deadline);

		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(place.done, left, GA_WAIT_EVENT("GoldenarchDenial"));
	}
	ConditionVariableCancelSleep();
	return pg_atomic_read_u64(&ring->tail) > place.number ? GA_RING_DURABLE : GA_RING_LATE;
}

static void
leave(int code, Datum arg)
{
	GaRing *ring = (GaRing *) DatumGetPointer(arg);

	(void) code;
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	ring->writer = NULL;
	ring->mixed = true;
	ring->taken = pg_atomic_read_u64(&ring->tail);
	LWLockRelease(&ring->lock);
}

GaRing *
ga_ring_serve(const char *database)
{
	Rings *rings = ga_ring_shared;
	GaRing *ring = NULL;
	int i;

	for (i = 0; rings && i < rings->count && !ring; i++)
		if (strcmp(rings->ring[i].database, database) == 0)
			ring = &rings->ring[i];
	if (!ring)
		return NULL;
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	/* Made anew under the same name: nobody waits for what was denied in the one before. */
	if (ring->oid != MyDatabaseId)
		pg_atomic_write_u64(&ring->tail, ring->head);
	ring->taken = pg_atomic_read_u64(&ring->tail);
	ring->oid = MyDatabaseId;
	ring->writer = &MyProc->procLatch;
	LWLockRelease(&ring->lock);
	before_shmem_exit(leave, PointerGetDatum(ring));
	return ring;
}

int
ga_ring_take(GaRing *ring)
{
	int taken;

	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	ring->taken = ring->head;
	taken = (int) (ring->taken - pg_atomic_read_u64(&ring->tail));
	if (taken > 0)
		ring->batch++;
	LWLockRelease(&ring->lock);
	return taken;
}

const GaRecord *
ga_ring_taken(const GaRing *ring, int i)
{
	return record_at(ring,
	                 pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &ring->tail)) + (uint64) i);
}

void
ga_ring_done(GaRing *ring)
{
	uint64 batch;
	bool mixed;

	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	pg_atomic_write_u64(&ring->tail, ring->taken);
	batch = ring->batch;
	mixed = ring->mixed;
	ring->mixed = false;
	LWLockRelease(&ring->lock);
	ConditionVariableBroadcast(&ring->done[batch % 2]);
	if (mixed)
		ConditionVariableBroadcast(&ring->done[(batch + 1) % 2]);
	ConditionVariableBroadcast(&ring->room);
}

void
ga_ring_put_back(GaRing *ring)
{
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	ring->mixed = true;
	ring->taken = pg_atomic_read_u64(&ring->tail);
	LWLockRelease(&ring->lock);
}

void
ga_ring_tell_spooled(GaRing *ring, int64 records)
{
	pg_atomic_write_u64(&ring->spooled, (uint64) records);
}

bool
ga_ring_spooled(int64 *records)
{
	GaRing *ring = ga_ring_mine();

	if (!ring)
		return false;
	*records = (int64) pg_atomic_read_u64(&ring->spooled);
	return true;
}
