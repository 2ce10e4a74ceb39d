/* SPDX-License-Identifier: PostgreSQL */
/*
 * tree.h: the state of the check of one incarnation, for its two halves: leaves and tiles (tree.c),
 * and heads, anchors and their times (tree_heads.c).
 */
#ifndef GA_VERIFY_TREE_H
#define GA_VERIFY_TREE_H

#include "check.h"
#include "openings.h"
#include "tile.h"

#define GA_BUNDLE_MAX_BYTES ((size_t) GA_TILE_WIDTH * (2 + GA_ENTRY_MAX_BYTES))
typedef struct GaHashes
{
	uint8_t of[GA_TILE_WIDTH][GA_HASH_BYTES];
} GaHashes;

/* The entries of one tile. */
typedef struct GaBundle
{
	uint8_t bytes[GA_BUNDLE_MAX_BYTES];
	size_t nbytes;
	const uint8_t *entry[GA_TILE_WIDTH]; /* NULL: it is not there */
	size_t length[GA_TILE_WIDTH];
} GaBundle;

typedef struct GaTreeWork
{
	GaCheck *check;
	GaTreeCheck *tree;
	char note[GA_NOTE_READ_MAX_BYTES];
	GaCheckpoint head;
	int64_t head_time;
	GaSigned head_by;

	uint64_t base; /* the tile that the check begins with: minimum, down to its first leaf */
	uint8_t minimum_root[GA_HASH_BYTES];
	GaTileEdge edge;
	GaTileEdge trial; /* the edge with the leaves of a last tile, of which there are two versions */
	bool broken;      /* the tree cannot be grown any further */
	bool tried;       /* whether the entries alone make the root: entries_signed */
	bool entries_signed;
	GaBundle bundle;
	GaHashes stored;
	GaHashes computed;
	uint8_t above[GA_TILE_BYTES]; /* the tile of level 1 that was read last */
	uint64_t above_index;
	int above_width; /* 0: none */

	GaLineFile heads;
	GaCheckpoint next; /* the next head of the history; text in next_note */
	char *next_note;
	bool next_there;
	int64_t next_time;
	GaSigned next_by;
	int64_t last_time; /* of the heads so far */
	uint64_t last_size;
	uint64_t agreed; /* the size of the largest head that the leaves agree with */
	uint64_t agreed_anchor;
	uint64_t nobody; /* heads without a signature by a trusted key */
	uint64_t pruned_heads;
	size_t anchor;
	size_t anchors_end;
	uint64_t strange_anchors; /* anybody may have written those */
	int64_t anchor_time;
	GaOpenings openings;

	int64_t run_xid;
	int64_t run_ordinal;
	int64_t run_id;
	GaNumbers xids;
	uint64_t commitments;
	uint64_t missing;
	uint64_t first_missing;
	uint64_t last_missing;

	GaTally signature;
	GaTally entries;
	GaTally tiles;
	GaTally root;
	GaTally history;
	GaTally anchored;
	GaTally rules;
	GaTally opened;
	GaTally gaps;
} GaTreeWork;

extern const char *ga_signed_text(GaSigned by);

/* Opens history and anchors at their first. */
extern void ga_tree_heads_open(GaTreeWork *work);
/* Every head and anchor up to the size that the tree has now. */
extern void ga_tree_heads_meet(GaTreeWork *work);
/* Those that say that there is more than the tree; then the verdict on the history. */
extern void ga_tree_heads_rest(GaTreeWork *work);
extern void ga_tree_heads_close(GaTreeWork *work);
extern void ga_tree_age(GaTreeWork *work, GaTally *tally);
extern void ga_tree_anchor_lag(GaTreeWork *work, GaTally *tally);

#endif
