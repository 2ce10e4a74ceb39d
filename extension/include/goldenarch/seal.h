/* SPDX-License-Identifier: PostgreSQL */
/*
 * The database's side of sealing, shared by the sealer (bgworkers/sealer.c) and the SQL functions:
 * the last tree's row, the lock that lets one process at a time seal, opening an incarnation, and
 * the rows of the keys. Everything is called inside ga_enter or a worker's transaction.
 */
#ifndef GOLDENARCH_SEAL_H
#define GOLDENARCH_SEAL_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "goldenarch/compat.h"
#include "limits.h"

/* The last row of audit_trees, without its edge. */
typedef struct GaSealTree
{
	int32 incarnation; /* 0: there is no tree yet */
	char *origin;
	bool here; /* it was opened by this database of this server */
	int32 timeline;
	TimestampTz opened_at;
	int64 link_id;
	int64 size;
	uint8 root[GA_HASH_BYTES];
	int64 minimum_index;
	char *fork;    /* null: none */
	char *stopped; /* null: it grows */
	char *unsigned_reason;
	int64 head_size; /* of its last head; -1: it has none */
	TimestampTz head_at;
} GaSealTree;

extern GA_EXPORT void ga_seal_tree(GaSealTree *tree);

/*
 * One process of a database seals at a time: an advisory lock that SQL cannot name, of the session
 * (sealer: over several transactions) or of the transaction. Taken before any row of the tree.
 */
extern GA_EXPORT void ga_seal_lock(bool of_session);
extern GA_EXPORT void ga_seal_unlock(void); /* that of the session */

/*
 * Opens the incarnation after this tree (of incarnation 0: the first). The audit row that will be
 * its first leaf has action "audit.incarnation", resource type "audit tree" and resource id
 * "ORIGIN SIZE ROOT" of the tree before it, the root in hex, or "none 0 -". Returns the new origin.
 */
extern GA_EXPORT char *ga_seal_open(const GaSealTree *parent, const char *reason);

/* pg_restore is connected: what it brings must not meet a tree that was opened meanwhile. */
extern GA_EXPORT bool ga_seal_restoring(void);

/* The server was promoted: an audit row, and the tree goes on. */
extern GA_EXPORT void ga_seal_new_timeline(const GaSealTree *tree, int32 timeline);
extern GA_EXPORT int32 ga_seal_timeline(void); /* the server's */

/* The keys that are in the key file now; audit rows for those that came or went. */
extern GA_EXPORT void ga_seal_keys(const GaSealTree *tree,
                                   const uint8 (*public_keys)[GA_HASH_BYTES], int n);
/* True when some head of this tree was signed, or would have been: a key was seen. */
extern GA_EXPORT bool ga_seal_has_keys(const GaSealTree *tree);

/*
 * The root of the tree's first `size` leaves, made from its tiles. False: some are missing. Reads
 * under the active snapshot.
 */
extern GA_EXPORT bool ga_seal_root(const GaSealTree *tree, int64 size, uint8 out[GA_HASH_BYTES]);

/* Why the tree does not grow, or its heads are not signed; null: nothing is in the way. */
extern GA_EXPORT void ga_seal_say_stopped(const GaSealTree *tree, const char *why);
extern GA_EXPORT void ga_seal_say_unsigned(const GaSealTree *tree, const char *why);
/* For good, until audit_accept_fork(): head is the body of the checkpoint that says otherwise. */
extern GA_EXPORT void ga_seal_say_fork(const GaSealTree *tree, const char *why, const char *head);
/* A head that an earlier incarnation ended with, and that audit_accept_fork() accepted. */
extern GA_EXPORT bool ga_seal_accepted(const GaSealTree *tree, const char *head);

#endif
