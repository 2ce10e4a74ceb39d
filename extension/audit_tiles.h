/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_tiles.h: the stored audit tree, for reading. Inside ga_enter. Everything is read under the
 * caller's snapshot, in which the tiles, the edge and the heads of one sealing stand together.
 */
#ifndef AUDIT_TILES_H
#define AUDIT_TILES_H

#include "goldenarch/query.h"
#include "tile.h"

typedef struct GaAuditTree
{
	int32 incarnation;
	char *origin;
	TimestampTz opened_at;
	char *reason;
	int64 link_id;
	int64 parent_size; /* -1: no parent */
	bytea *parent_root;
	uint64 size;
	bytea *root; /* as stored */
	uint64 minimum_index;
	TimestampTz sealed_at;
	char *fork;       /* null: none */
	char *stopped;    /* null: it is not */
	GaTileEdge *edge; /* null: what is stored is none of this size */
	uint64 cached_index[GA_TILE_LEVELS];
	uint8 *cached[GA_TILE_LEVELS]; /* the full tile last read of each level */
	int checked_levels;            /* for audit_verify(): how many of these are set */
	uint64 checked_index[GA_TILE_LEVELS];
} GaAuditTree;

/* The tree of this incarnation, 0: the last one. Null where there is none. */
extern GaAuditTree *ga_audit_tree(int32 incarnation);
/* A GaReadTile; context is the tree. */
extern bool ga_audit_read_tile(void *tree, int level, uint64 index, int width,
                               uint8 hashes[GA_TILE_BYTES]);

#endif /* AUDIT_TILES_H */
