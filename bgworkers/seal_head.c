/* SPDX-License-Identifier: PostgreSQL */
/*
 * Signing. A head tells of leaves that are committed and on disk: it is signed in a transaction of
 * its own, after that which sealed them. Before it has a row, and so before anybody sees it, it is
 * in the last-head file: whoever starts an older copy of this database beside that file finds a
 * head that the copy's tree does not extend, and signs nothing.
 *
 * At start-up and before each signing the tree is held against that file and against the anchor
 * that audit_anchors remembers. Where neither can be asked (no file, and no anchor looked at since
 * the server started, although one is configured), the tree grows and nothing is signed.
 */
#include "seal.h"

#include <stdlib.h>

#include "miscadmin.h"
#include "postmaster/postmaster.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "goldenarch/clock.h"
#include "goldenarch/debug.h"
#include "goldenarch/guc.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"

#define HEAD_EVERY_US (1 * USECS_PER_SEC)
#define HEAD_EVERY_LEAVES 4096
#define HEARTBEAT_US (30 * USECS_PER_SEC)
#define UNIX_EPOCH_S ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

static bool compared; /* this process has held the tree against file and anchor */

/* The keys that have leaves of their own; another one is not used before it has. */
static uint8 known_keys[SEAL_KEYS_MAX][GA_ED25519_KEY_BYTES];
static int known_count;

void
seal_prepare(SealPass *pass)
{
	GaSealTree tree;
	SealKeys keys;
	char why[SEAL_REASON_MAX];
	int32 timeline = ga_seal_timeline();

	ga_seal_tree(&tree);
	if (tree.incarnation == 0 || !tree.here)
	{
		if (!pass->forced && ga_seal_restoring())
			return;
		(void) ga_seal_open(&tree, tree.incarnation == 0 ? "first" : "copied or restored");
		ga_seal_tree(&tree);
	}
	if (tree.timeline != timeline)
		ga_seal_new_timeline(&tree, timeline);
	if (!seal_keys_read(&keys, !ga_seal_has_keys(&tree), why))
		return; /* said where it matters, before a head is signed */
	seal_keys_wipe(&keys);
	ga_seal_keys(&tree, (const uint8(*)[GA_HASH_BYTES]) keys.public_keys, keys.n);
	memcpy(known_keys, keys.public_keys, sizeof(known_keys));
	known_count = keys.n;
}

static bool
due(const GaSealTree *tree)
{
	int64 age = ga_now() - tree->head_at;

	if (tree->head_size < 0)
		return true;
	if (tree->size > tree->head_size &&
	    (age < 0 || age >= HEAD_EVERY_US || tree->size - tree->head_size >= HEAD_EVERY_LEAVES))
		return true;
	return age >= HEARTBEAT_US || age <= -HEARTBEAT_US;
}

/* Null: this head is one of the tree's. head_origin and body are those of a parsed checkpoint. */
static char *
contradiction(const GaSealTree *tree, const char *where, const char *origin, int64 size,
              const uint8 root[GA_HASH_BYTES])
{
	uint8 ours[GA_HASH_BYTES];

	if (strcmp(origin, tree->origin) != 0)
		return psprintf("%s is of another tree, \"%s\"", where, origin);
	if (size > tree->size)
		return psprintf("%s has " INT64_FORMAT " leaves, the tree has only " INT64_FORMAT, where,
		                size, tree->size);
	if (!ga_seal_root(tree, size, ours))
		return psprintf("tiles below the " INT64_FORMAT " leaves of %s are missing", size, where);
	if (memcmp(ours, root, GA_HASH_BYTES) != 0)
		return psprintf("%s has another root at " INT64_FORMAT " leaves", where, size);
	return NULL;
}

/* The tree of this origin among this one and those before it; else this one. */
static void
find_tree(const GaSealTree *tree, const char *origin, GaSealTree *found)
{
	static GaStmt find = GA_STMT(
	    "SELECT t.incarnation::pg_catalog.int4, t.size::pg_catalog.int8 FROM "
	    "goldenarch.audit_trees t WHERE t.incarnation OPERATOR(pg_catalog.<=) $1 AND t.origin "
	    "OPERATOR(pg_catalog.=) $2",
	    INT4OID, TEXTOID);
	GaRows rows = ga_query(&find, ga_int4(tree->incarnation), ga_text(origin));

	*found = *tree;
	if (rows.count == 0)
		return;
	found->incarnation = ga_row_int4(&rows, 0, 1);
	found->size = ga_row_int8(&rows, 0, 2);
	found->origin = pstrdup(origin);
}

/*
 * False: it cannot be signed now (why), or never again. *known: the file holds a head of this tree
 * or one that this tree follows.
 */
static bool
extends_last_head(const GaSealTree *tree, bool *known, char why[SEAL_REASON_MAX])
{
	GaSealTree signed_tree; /* this one, or one that it follows */
	GaCheckpoint head;
	char *note;
	char *body;
	char *wrong;

	*known = false;
	if (!seal_head_read(&note, why))
		return false;
	if (!note)
		return true;
	*known = true;
	if (!ga_checkpoint_parse(note, strlen(note), &head) || head.size > PG_INT64_MAX)
	{
		snprintf(why, SEAL_REASON_MAX, "the last-head file beside \"%s\" holds no checkpoint",
		         ga_guc_audit_key_file);
		return false;
	}
	body = pnstrdup(head.body, head.body_bytes);
	find_tree(tree, head.origin, &signed_tree);
	wrong = contradiction(&signed_tree, "the last head that was signed here", head.origin,
	                      (int64) head.size, head.root);
	if (wrong && ga_seal_accepted(tree, body))
		wrong = NULL;
	if (wrong)
		ga_seal_say_fork(tree, wrong, body);
	return wrong == NULL;
}

/* As that, of the head that is anchored outside, as far as the relay has told. */
static bool
extends_anchor(const GaSealTree *tree, bool keyed, bool head_known, char why[SEAL_REASON_MAX])
{
	static GaStmt find = GA_STMT(
	    "SELECT a.size::pg_catalog.int8, a.root::pg_catalog.bytea, "
	    "a.checked_at::pg_catalog.timestamptz FROM goldenarch.audit_anchors a WHERE a.origin "
	    "OPERATOR(pg_catalog.=) $1",
	    TEXTOID);
	GaRows rows = ga_query(&find, ga_text(tree->origin));
	bytea *root;
	char *wrong = NULL;

	if (rows.count > 0 && ga_row_int8(&rows, 0, 1) > 0)
	{
		root = ga_row_bytea_present(&rows, 0, 2);
		if (VARSIZE(root) - VARHDRSZ != GA_HASH_BYTES)
			wrong = pstrdup("the anchored head has no root");
		else
			wrong = contradiction(tree, "the anchored head", tree->origin, ga_row_int8(&rows, 0, 1),
			                      (uint8 *) VARDATA(root));
	}
	if (wrong)
	{
		ga_seal_say_fork(tree, wrong, NULL);
		return false;
	}
	if (!head_known && keyed && ga_guc_nats_url[0] != '\0' && tree->opened_at < PgStartTime &&
	    (rows.count == 0 || ga_row_timestamp(&rows, 0, 3) < PgStartTime))
	{
		strlcpy(why, "there is no last-head file, and the anchor was not yet looked at",
		        SEAL_REASON_MAX);
		return false;
	}
	return true;
}

static bool
extends_what_was_signed(const GaSealTree *tree, bool keyed, char why[SEAL_REASON_MAX])
{
	bool known = false;

	why[0] = '\0';
	if (tree->fork)
		return false;
	if (keyed && (!seal_origin_is_ours(tree->origin, why) || !extends_last_head(tree, &known, why)))
		return false;
	return extends_anchor(tree, keyed, known, why);
}

static void
put_head(const GaSealTree *tree, TimestampTz at, const char *note)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.audit_heads (id, incarnation, size, root, signed_at, note) VALUES "
	    "(pg_catalog.nextval('goldenarch.audit_head_id'::pg_catalog.regclass), $1, $2, $3, $4, $5)",
	    INT4OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, TEXTOID);

	(void) ga_query(&insert, ga_int4(tree->incarnation), ga_int8(tree->size),
	                ga_bytea(tree->root, GA_HASH_BYTES), ga_timestamp(at), ga_text(note));
}

/* Nothing in here raises an error while a secret is in memory. The length of the note, or 0. */
static size_t
sign_note(const GaSealTree *tree, TimestampTz at, char note[GA_NOTE_MAX_BYTES], int *keys_used,
          char why[SEAL_REASON_MAX])
{
	char body[GA_NOTE_MAX_BYTES];
	size_t body_bytes =
	    ga_checkpoint_body(tree->origin, (uint64) tree->size, tree->root, body, sizeof(body));
	size_t bytes = 0;
	SealKeys keys;

	if (body_bytes == 0)
	{
		strlcpy(why, "the origin is no name of a log", SEAL_REASON_MAX);
		return 0;
	}
	if (!seal_keys_read(&keys, false, why))
		return 0;
	if (keys.n != known_count ||
	    memcmp(keys.public_keys, known_keys, (size_t) keys.n * GA_ED25519_KEY_BYTES) != 0)
	{
		seal_keys_wipe(&keys);
		strlcpy(why, "the key file has just changed", SEAL_REASON_MAX);
		return 0;
	}
	bytes = ga_checkpoint_sign(body, body_bytes, tree->origin,
	                           (const uint8(*)[GA_ED25519_KEY_BYTES]) keys.seeds, keys.n,
	                           at / USECS_PER_SEC + UNIX_EPOCH_S, note, GA_NOTE_MAX_BYTES);
	*keys_used = keys.n;
	seal_keys_wipe(&keys);
	if (bytes == 0)
		strlcpy(why, "libcrypto could not sign", SEAL_REASON_MAX);
	return bytes;
}

void
seal_sign(SealPass *pass)
{
	GaSealTree tree;
	char why[SEAL_REASON_MAX];
	char note[GA_NOTE_MAX_BYTES];
	bool keyed = ga_guc_audit_key_file[0] != '\0';
	TimestampTz at = ga_now();
	size_t bytes;
	int nkeys;

	ga_seal_tree(&tree);
	if (tree.incarnation == 0 || !tree.here || tree.size == 0)
		return;
	if (compared && !pass->forced && !due(&tree))
		return;
	if (!extends_what_was_signed(&tree, keyed, why))
	{
		if (!tree.fork && why[0])
			ga_seal_say_unsigned(&tree, why);
		return;
	}
	compared = true;
	bytes = sign_note(&tree, at, note, &nkeys, why);
	if (bytes > 0 && nkeys > 0 && !seal_head_write(note, bytes, why))
		bytes = 0;
	if (bytes == 0)
	{
		ga_seal_say_unsigned(&tree, why);
		return;
	}
	GA_DEBUG_POINT("seal-after-head-file");
	put_head(&tree, at, note);
	ga_seal_say_unsigned(&tree, nkeys > 0 ? NULL : "goldenarch.audit_key_file is not set");
	/* The relay publishes it. */
	ga_wake_at_commit(GA_WORKER_RELAY);
}
