/* SPDX-License-Identifier: PostgreSQL */
/*
 * The readers' side of goldenarch/bridge.h, and the shared-memory part behind it.
 */
#ifndef BRIDGE_STATE_H
#define BRIDGE_STATE_H

#include "goldenarch/bridge.h"
#include "goldenarch/health.h"

#define GA_BRIDGE_TEXT 256

typedef struct GaBridgePeer
{
	GaLink link;
	TimestampTz since; /* of this link state */
	char server[GA_BRIDGE_TEXT];
	char error[GA_BRIDGE_TEXT];
	TimestampTz error_at;
} GaBridgePeer;

typedef struct GaBridgeState
{
	Oid database; /* InvalidOid: free */
	GaBridgePeer peer[GA_PEER_COUNT];
	int64 backlog;
	int64 published;
	int64 acked;
	int64 consumed;
	int64 failed;
	char anchor_trouble[GA_BRIDGE_TEXT]; /* empty: none */
} GaBridgeState;

extern Size ga_bridge_shmem_size(void);
extern void ga_bridge_shmem_init(void *part);
extern void *ga_bridge_shared;

/* A copy of this database's state; false where there is none. */
extern bool ga_bridge_read(GaBridgeState *state);
/* What ga_anchor_report() said last; null: nothing is in the way, or nobody says. */
extern char *ga_anchor_trouble(void);
/* 0 where it is not known. */
extern int64 ga_bridge_backlog(void);

/* Components of health(). */
extern GaHealth ga_bridge_check_nats(void);
extern GaHealth ga_bridge_check_redis(void);

#endif
