/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the bridge's workers report, one slot of shared memory a database, under one LWLock that is
 * held for a copy and nothing else is taken under. Nothing here is the only copy of a fact: after
 * a crash the workers say it again.
 */
#include "bridge_state.h"

#include "miscadmin.h"
#include "storage/lwlock.h"

#include "goldenarch/anchor.h"
#include "goldenarch/clock.h"
#include "goldenarch/shmem.h"

#define SLOTS 16

typedef struct Bridge
{
	LWLock lock;
	GaBridgeState slot[SLOTS];
} Bridge;

void *ga_bridge_shared;

Size
ga_bridge_shmem_size(void)
{
	return sizeof(Bridge);
}

void
ga_bridge_shmem_init(void *part)
{
	LWLockInitialize(&((Bridge *) part)->lock, ga_lwlock_tranche());
}

/* The caller holds the lock, exclusively when create is true. Null: no slot. */
static GaBridgeState *
find(Bridge *bridge, bool create)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (bridge->slot[i].database == MyDatabaseId)
			return &bridge->slot[i];
	for (i = 0; create && i < SLOTS; i++)
		if (bridge->slot[i].database == InvalidOid)
		{
			bridge->slot[i].database = MyDatabaseId;
			return &bridge->slot[i];
		}
	return NULL;
}

static GaBridgeState *
begin_report(void)
{
	Bridge *bridge = ga_bridge_shared;
	GaBridgeState *state;

	if (!bridge || MyDatabaseId == InvalidOid)
		return NULL;
	LWLockAcquire(&bridge->lock, LW_EXCLUSIVE);
	state = find(bridge, true);
	if (!state)
		LWLockRelease(&bridge->lock);
	return state;
}

static void
end_report(void)
{
	LWLockRelease(&((Bridge *) ga_bridge_shared)->lock);
}

void
ga_bridge_report_link(GaPeer peer, GaLink link, const char *server, const char *error)
{
	TimestampTz now = ga_now();
	GaBridgeState *state = begin_report();
	GaBridgePeer *p;

	if (!state)
		return;
	p = &state->peer[peer];
	if (p->link != link || p->since == 0)
		p->since = now;
	p->link = link;
	if (server)
		strlcpy(p->server, server, sizeof(p->server));
	if (error)
	{
		strlcpy(p->error, error, sizeof(p->error));
		p->error_at = now;
	}
	end_report();
}

void
ga_bridge_report_backlog(int64 rows)
{
	GaBridgeState *state = begin_report();

	if (!state)
		return;
	state->backlog = rows;
	end_report();
}

void
ga_bridge_report_published(int64 sent, int64 acked)
{
	GaBridgeState *state = begin_report();

	if (!state)
		return;
	state->published += sent;
	state->acked += acked;
	end_report();
}

void
ga_bridge_report_consumed(int64 handled, int64 failed)
{
	GaBridgeState *state = begin_report();

	if (!state)
		return;
	state->consumed += handled;
	state->failed += failed;
	end_report();
}

void
ga_anchor_report(const char *trouble)
{
	GaBridgeState *state = begin_report();

	if (!state)
		return;
	strlcpy(state->anchor_trouble, trouble ? trouble : "", sizeof(state->anchor_trouble));
	end_report();
}

bool
ga_bridge_read(GaBridgeState *copy)
{
	Bridge *bridge = ga_bridge_shared;
	GaBridgeState *state;

	memset(copy, 0, sizeof(*copy));
	if (!bridge)
		return false;
	LWLockAcquire(&bridge->lock, LW_SHARED);
	state = find(bridge, false);
	if (state)
		*copy = *state;
	LWLockRelease(&bridge->lock);
	return state != NULL;
}

char *
ga_anchor_trouble(void)
{
	GaBridgeState state;

	return ga_bridge_read(&state) && state.anchor_trouble[0] ? pstrdup(state.anchor_trouble) : NULL;
}

int64
ga_bridge_backlog(void)
{
	GaBridgeState state;

	return ga_bridge_read(&state) ? state.backlog : 0;
}
