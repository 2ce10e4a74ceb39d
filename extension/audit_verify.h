/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify.h: what the parts of audit_verify() share: the list of checks and what was found.
 * Everything is read under one snapshot; nothing is repaired; what is stored is hostile input.
 */
#ifndef AUDIT_VERIFY_H
#define AUDIT_VERIFY_H

#include "audit_tiles.h"
#include "goldenarch/query.h"

typedef enum GaVerifyCheck
{
	GA_VERIFY_ENTRIES,
	GA_VERIFY_COLUMNS,
	GA_VERIFY_DETAILS,
	GA_VERIFY_LEAVES,
	GA_VERIFY_TILES,
	GA_VERIFY_ROOT,
	GA_VERIFY_HEADS,
	GA_VERIFY_SIGNATURES,
	GA_VERIFY_INCARNATIONS,
	GA_VERIFY_ANCHORS,
	GA_VERIFY_GUARDS,
	GA_VERIFY_SEALED,
	GA_VERIFY_PRESENT,
	GA_VERIFY_STATE,
	GA_VERIFY_FRESH_HEAD,
	GA_VERIFY_FRESH_ANCHOR
} GaVerifyCheck;
#define GA_VERIFY_CHECKS (GA_VERIFY_FRESH_ANCHOR + 1)

typedef struct GaFinding
{
	bool looked; /* false: ok is null */
	uint64 bad;
	int64 first_id; /* 0: none can be named */
	char *what;     /* about the first; null while nothing is bad */
	char *good;     /* told when nothing is */
} GaFinding;

typedef struct GaVerify
{
	GaCall *call;
	MemoryContext page;  /* emptied after each row or page */
	MemoryContext lasts; /* to the end of the call */
	const char *floor;
	const char *ceiling;
	int64 from_id;
	int64 to_id;
	bool whole;   /* the caller sees every tenant */
	bool limited; /* not every row is looked at */
	int ntrees;
	GaAuditTree **trees; /* in their order */
	int64 told_at;       /* monotonic; last word of progress */
	GaFinding findings[GA_VERIFY_CHECKS];
} GaVerify;

/* One more thing is bad. id: the audit row it begins with, 0 where none can be named. */
extern void ga_verify_bad(GaVerify *v, GaVerifyCheck check, int64 id, const char *format, ...)
    pg_attribute_printf(4, 5);
/* It was looked at; what to say when nothing is bad. */
extern void ga_verify_good(GaVerify *v, GaVerifyCheck check, const char *format, ...)
    pg_attribute_printf(3, 4);
/* Values read and memory taken between these two are gone after the second. */
extern void ga_verify_page_begin(GaVerify *v);
extern void ga_verify_page_end(GaVerify *v);
/* Interrupts; a NOTICE every ten seconds. */
extern void ga_verify_progress(GaVerify *v, const char *what, uint64 done);
/* The tree of this incarnation, or null. */
extern GaAuditTree *ga_verify_tree(const GaVerify *v, int32 incarnation);
/* The row that is this leaf, 0: none. */
extern int64 ga_verify_id_of(const GaAuditTree *tree, uint64 leaf_index);

extern void ga_verify_rows(GaVerify *v);  /* entries, columns, details, leaves */
extern void ga_verify_trees(GaVerify *v); /* tiles, root, incarnations */
/* The tiles from this one of level 0 up to the edge. */
extern void ga_verify_tiles_above(GaVerify *v, GaAuditTree *tree, uint64 index);
extern void ga_verify_heads(GaVerify *v);    /* heads, signatures, anchors, freshness */
extern void ga_verify_guards(GaVerify *v);   /* triggers and row security */
extern void ga_verify_complete(GaVerify *v); /* sealed, present, state */
extern void ga_verify_state(GaVerify *v);

#endif /* AUDIT_VERIFY_H */
