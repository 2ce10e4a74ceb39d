/* SPDX-License-Identifier: PostgreSQL */
/*
 * The tree against what the outside holds of it (goldenarch/anchor.h). What comes from the stream
 * counts only when one of our keys signed it. A held head that is larger than the tree means that
 * the tree was cut; one whose root the tree's own tiles do not give, that it was rewritten, or that
 * two servers sign. Either is written to audit_trees.fork, where the sealer reads it. Locks: that
 * row, for one statement.
 */
#include "goldenarch/anchor.h"

#include "utils/builtins.h"

#include "goldenarch/clock.h"
#include "goldenarch/query.h"
#include "goldenarch/seal.h"
#include "audit_tiles.h"
#include "digest.h"

static void
read_keys(GaAnchorTree *tree)
{
	static GaStmt find =
	    GA_READ("SELECT vkey::pg_catalog.text FROM goldenarch.audit_keys"
	            " WHERE incarnation OPERATOR(pg_catalog.=) $1 ORDER BY added_at DESC LIMIT $2",
	            INT4OID, INT8OID);
	GaRows rows = ga_query(&find, ga_int4(tree->incarnation), ga_int8(GA_ANCHOR_KEYS_MAX));
	uint64 i;

	for (i = 0; i < rows.count; i++)
	{
		const char *vkey = ga_row_text_present(&rows, i, 1);

		if (ga_vkey_parse(vkey, strlen(vkey), &tree->keys[tree->nkeys]))
			tree->nkeys++;
	}
}

static void
read_noted(GaAnchorTree *tree)
{
	static GaStmt find =
	    GA_READ("SELECT sequence::pg_catalog.int8, size::pg_catalog.int8, root::pg_catalog.bytea"
	            " FROM goldenarch.audit_anchors WHERE origin OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	GaRows rows = ga_query(&find, ga_text(tree->origin));
	bytea *root;

	if (rows.count == 0)
		return;
	root = ga_row_bytea_present(&rows, 0, 3);
	if (VARSIZE_ANY_EXHDR(root) != GA_HASH_BYTES)
		return;
	tree->noted.sequence = (uint64) ga_row_int8(&rows, 0, 1);
	tree->noted.size = (uint64) ga_row_int8(&rows, 0, 2);
	memcpy(tree->noted.root, VARDATA_ANY(root), GA_HASH_BYTES);
}

bool
ga_anchor_signed(const GaAnchorTree *tree, const char *note, size_t bytes, GaAnchor *head)
{
	GaCheckpoint checkpoint;
	int i;

	if (!ga_checkpoint_parse(note, bytes, &checkpoint) ||
	    strcmp(checkpoint.origin, tree->origin) != 0)
		return false;
	for (i = 0; i < tree->nkeys; i++)
	{
		if (ga_checkpoint_verify(&checkpoint, &tree->keys[i]) != GA_NOTE_GOOD)
			continue;
		head->size = checkpoint.size;
		memcpy(head->root, checkpoint.root, GA_HASH_BYTES);
		return true;
	}
	return false;
}

/* Only the last tree grows, so the last head of all is its own or it has none. */
static void
read_head(GaAnchorTree *tree)
{
	static GaStmt find =
	    GA_READ("SELECT id::pg_catalog.int8, incarnation::pg_catalog.int4, note::pg_catalog.text"
	            " FROM goldenarch.audit_heads WHERE id OPERATOR(pg_catalog.=)"
	            " (SELECT pg_catalog.max(h.id) FROM goldenarch.audit_heads AS h)");
	GaRows rows = ga_query(&find);
	const char *note;

	if (rows.count == 0 || ga_row_int4(&rows, 0, 2) != tree->incarnation)
		return;
	note = ga_row_text_present(&rows, 0, 3);
	tree->note_bytes = strlen(note);
	if (tree->note_bytes >= sizeof(tree->note) ||
	    !ga_anchor_signed(tree, note, tree->note_bytes, &tree->head))
		return;
	memcpy(tree->note, note, tree->note_bytes);
	tree->head_id = ga_row_int8(&rows, 0, 1);
}

bool
ga_anchor_tree(GaAnchorTree *tree)
{
	static GaStmt find =
	    GA_READ("SELECT incarnation::pg_catalog.int4, origin::pg_catalog.text,"
	            " (fork IS NOT NULL)::pg_catalog.bool FROM goldenarch.audit_trees"
	            " WHERE incarnation OPERATOR(pg_catalog.=)"
	            "  (SELECT pg_catalog.max(t.incarnation) FROM goldenarch.audit_trees AS t)");
	GaRows rows = ga_query(&find);

	memset(tree, 0, sizeof(*tree));
	if (rows.count == 0)
		return false;
	tree->incarnation = ga_row_int4(&rows, 0, 1);
	if (strlcpy(tree->origin, ga_row_text_present(&rows, 0, 2), sizeof(tree->origin)) >=
	    sizeof(tree->origin))
		return false;
	tree->forked = ga_row_bool(&rows, 0, 3);
	read_keys(tree);
	read_noted(tree);
	read_head(tree);
	return true;
}

static void
say_fork(const GaAnchorTree *tree, const char *reason, const GaAnchor *head)
{
	char body[GA_NOTE_NAME_MAX_BYTES + 100];
	GaSealTree seal;

	ga_seal_tree(&seal);
	if (seal.incarnation == tree->incarnation &&
	    ga_checkpoint_body(tree->origin, head->size, head->root, body, sizeof(body)) > 0)
		ga_seal_say_fork(&seal, reason, body);
}

/* Null: the tree has this root at this size. */
static const char *
mismatch(GaAuditTree *stored, const GaAnchor *head, const char *what)
{
	uint8 root[GA_HASH_BYTES];

	if (head->size > stored->size)
		return psprintf("truncated: %s of size " UINT64_FORMAT ", and the tree has " UINT64_FORMAT
		                " leaves",
		                what, head->size, stored->size);
	if (!ga_tile_root(head->size, ga_audit_read_tile, stored, root))
		return psprintf("fork: %s of size " UINT64_FORMAT ", below which tiles are missing", what,
		                head->size);
	if (memcmp(root, head->root, GA_HASH_BYTES) != 0)
		return psprintf("fork: %s of size " UINT64_FORMAT
		                " with another root than the tree's tiles give",
		                what, head->size);
	return NULL;
}

const char *
ga_anchor_judge(const GaAnchorTree *tree, const GaAnchor *held, int n)
{
	GaAuditTree *stored = ga_audit_tree(tree->incarnation);
	const GaAnchor *wrong = NULL;
	const char *reason = NULL;
	int i;

	if (!stored)
		return NULL;
	for (i = 0; i < n && !reason; i++)
	{
		wrong = &held[i];
		reason = mismatch(stored, wrong,
		                  psprintf("message " UINT64_FORMAT " of stream %s is a signed head",
		                           wrong->sequence, GA_ANCHOR_STREAM));
	}
	if (!reason && tree->head_id != 0)
	{
		wrong = &tree->head;
		reason = mismatch(stored, wrong, "the last signed head is");
	}
	if (reason)
		say_fork(tree, reason, wrong);
	return reason;
}

void
ga_anchor_note(const GaAnchorTree *tree, const GaAnchor *held)
{
	GaAnchor none = {.stored_at = ga_now()};
	static GaStmt put =
	    GA_STMT("INSERT INTO goldenarch.audit_anchors (origin, size, root, sequence, anchored_at,"
	            " checked_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (origin) DO UPDATE SET"
	            " size = EXCLUDED.size, root = EXCLUDED.root, sequence = EXCLUDED.sequence,"
	            " anchored_at = EXCLUDED.anchored_at, checked_at = EXCLUDED.checked_at",
	            TEXTOID, INT8OID, BYTEAOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);

	if (held->sequence == 0)
	{
		if (!ga_sha256(NULL, 0, none.root))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash nothing")));
		held = &none;
	}
	ga_query(&put, ga_text(tree->origin), ga_int8((int64) held->size),
	         ga_bytea(held->root, GA_HASH_BYTES), ga_int8((int64) held->sequence),
	         ga_timestamp(held->stored_at), ga_timestamp(ga_now()));
}
