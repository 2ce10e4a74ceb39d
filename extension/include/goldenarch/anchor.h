/* SPDX-License-Identifier: PostgreSQL */
/*
 * The database's side of anchoring: which head the relay is to publish next, whether the heads that
 * the outside holds are those of this tree, and what came of it. Inside a worker's transaction; the
 * network is used between them, never within one.
 */
#ifndef GOLDENARCH_ANCHOR_H
#define GOLDENARCH_ANCHOR_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "goldenarch/compat.h"
#include "note.h"

#define GA_ANCHOR_STREAM "GOLDENARCH_AUDIT"
#define GA_ANCHOR_KEYS_MAX 16

/* A head that the stream of heads holds. */
typedef struct GaAnchor
{
	uint64 sequence; /* 0: it holds none */
	uint64 size;
	uint8 root[GA_HASH_BYTES];
	TimestampTz stored_at;
} GaAnchor;

/* The last tree, its keys and its latest head. */
typedef struct GaAnchorTree
{
	int32 incarnation;
	char origin[GA_NOTE_NAME_MAX_BYTES + 1];
	bool forked;
	GaNoteKey keys[GA_ANCHOR_KEYS_MAX];
	int nkeys;
	int64 head_id; /* 0: it has none that one of the keys signed */
	GaAnchor head; /* not stored: its size and root */
	char note[GA_NOTE_MAX_BYTES];
	size_t note_bytes;
	GaAnchor noted; /* what audit_anchors says that the stream holds */
} GaAnchorTree;

/* False: there is no tree yet. */
extern GA_EXPORT bool ga_anchor_tree(GaAnchorTree *tree);
/* Is this a head of this origin, signed by one of the tree's keys? */
extern GA_EXPORT bool ga_anchor_signed(const GaAnchorTree *tree, const char *note, size_t bytes,
                                       GaAnchor *head);
/*
 * Did the stored tree grow from each of the n held heads, and is its own last head one of its?
 * Null: yes. Otherwise why not, from "fork" or "truncated" on; audit_trees.fork then says so,
 * too, and nothing more is signed.
 */
extern GA_EXPORT const char *ga_anchor_judge(const GaAnchorTree *tree, const GaAnchor *held, int n);
/* Note in audit_anchors what the stream holds; sequence 0: nothing, which is news, too. */
extern GA_EXPORT void ga_anchor_note(const GaAnchorTree *tree, const GaAnchor *held);

/* In shared memory, for health(): why no head is anchored now, or null: nothing is in the way. */
extern GA_EXPORT void ga_anchor_report(const char *trouble);

#endif
