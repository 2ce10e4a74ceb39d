/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify(), the tree: every full tile's root stands in the tile above it, the edge hashes to
 * the root, no tile is missing and none is left over, and each incarnation names the one before it.
 * Together with the rows' part, which compares each row with its leaf, nothing between a row's
 * bytes and the root is taken on trust.
 */
#include "audit_verify.h"

#include "merkle.h"

#define TILES_BAD_MAX 1000

/* Whether every leaf of this tile was pruned, so that it may be gone; those above it stay. */
static bool
pruned(const GaAuditTree *tree, int level, uint64 index)
{
	return level == 0 && (index + 1) * GA_TILE_WIDTH <= tree->minimum_index;
}

static int64
first_id_below(const GaAuditTree *tree, int level, uint64 index)
{
	return ga_verify_id_of(tree, index << (8 * (level + 1)));
}

/* One full tile against its hash in the tile above. */
static void
check_tile(GaVerify *v, GaAuditTree *tree, int level, uint64 index)
{
	uint8 hashes[GA_TILE_BYTES];
	uint8 above[GA_TILE_BYTES];
	uint8 root[GA_HASH_BYTES];
	int place = (int) (index % GA_TILE_WIDTH);

	if (!ga_audit_read_tile(tree, level, index, GA_TILE_WIDTH, hashes))
	{
		if (!pruned(tree, level, index))
			ga_verify_bad(v, GA_VERIFY_TILES, first_id_below(tree, level, index),
			              "Tile %d/%lld of \"%s\" is missing.", level, (long long) index,
			              tree->origin);
		return;
	}
	if (!ga_merkle_root_of(hashes, GA_TILE_WIDTH, root))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash a tile")));
	if (!ga_audit_read_tile(tree, level + 1, index / GA_TILE_WIDTH, place + 1, above))
		return; /* told of when its own turn comes, or by the root */
	if (memcmp(root, above + (size_t) place * GA_HASH_BYTES, GA_HASH_BYTES) != 0)
		ga_verify_bad(v, GA_VERIFY_TILES, first_id_below(tree, level, index),
		              "Tile %d/%lld of \"%s\" does not hash to what stands above it.", level,
		              (long long) index, tree->origin);
}

void
ga_verify_tiles_above(GaVerify *v, GaAuditTree *tree, uint64 index)
{
	int level;

	for (level = 0; level < GA_TILE_LEVELS - 1; level++)
	{
		if (ga_tile_width(tree->size, level, index) != GA_TILE_WIDTH ||
		    (tree->checked_levels > level && tree->checked_index[level] == index))
			return;
		check_tile(v, tree, level, index);
		tree->checked_index[level] = index;
		tree->checked_levels = Max(tree->checked_levels, level + 1);
		index /= GA_TILE_WIDTH;
	}
}

static uint64
check_all_tiles(GaVerify *v, GaAuditTree *tree)
{
	static GaStmt surplus = GA_READ(
	    "SELECT t.level::pg_catalog.int4, t.index::pg_catalog.int8 FROM goldenarch.audit_tiles t "
	    "WHERE t.incarnation OPERATOR(pg_catalog.=) $1 AND (t.level OPERATOR(pg_catalog.>) 6 OR "
	    "t.index OPERATOR(pg_catalog.>=) ($2 OPERATOR(pg_catalog.>>) (8 OPERATOR(pg_catalog.*) "
	    "(t.level OPERATOR(pg_catalog.+) 1)))) ORDER BY t.index USING OPERATOR(pg_catalog.<) "
	    "LIMIT 1",
	    INT4OID, INT8OID);
	GaRows rows;
	uint64 done = 0;
	int level;

	for (level = 0; level < GA_TILE_LEVELS - 1; level++)
	{
		uint64 count = tree->size >> (8 * (level + 1));
		uint64 index;

		/* a size that somebody made up must not keep this busy for years */
		for (index = 0; index < count && v->findings[GA_VERIFY_TILES].bad < TILES_BAD_MAX; index++)
		{
			ga_verify_page_begin(v);
			check_tile(v, tree, level, index);
			ga_verify_page_end(v);
			ga_verify_progress(v, "tiles", ++done);
		}
	}
	rows = ga_query(&surplus, ga_int4(tree->incarnation), ga_int8((int64) tree->size));
	if (rows.count > 0)
		ga_verify_bad(v, GA_VERIFY_TILES, 0, "Tile %d/%lld of \"%s\" lies behind the tree's end.",
		              ga_row_int4(&rows, 0, 1), (long long) ga_row_int8(&rows, 0, 2), tree->origin);
	ga_rows_free(&rows);
	return done;
}

static void
check_root(GaVerify *v, GaAuditTree *tree)
{
	uint8 root[GA_HASH_BYTES];

	if (!tree->edge)
		ga_verify_bad(v, GA_VERIFY_ROOT, 0, "The edge of \"%s\" is not that of its size.",
		              tree->origin);
	else if (!ga_edge_root(tree->edge, root))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash an edge")));
	else if (VARSIZE(tree->root) - VARHDRSZ != GA_HASH_BYTES ||
	         memcmp(VARDATA(tree->root), root, GA_HASH_BYTES) != 0)
		ga_verify_bad(v, GA_VERIFY_ROOT,
		              ga_verify_id_of(tree, tree->size - tree->size % GA_TILE_WIDTH),
		              "The edge of \"%s\" does not hash to its root.", tree->origin);
}

/*
 * The row that opened the incarnation is its first leaf, and tells, hashed, of the tree before it:
 * "ORIGIN SIZE ROOT".
 */
static void
check_link(GaVerify *v, const GaAuditTree *tree, const GaAuditTree *parent)
{
	static GaStmt find = GA_READ(
	    "SELECT e.resource_id::pg_catalog.text, coalesce(pg_catalog.format('%s %s %s', "
	    "$2::pg_catalog.text, $3::pg_catalog.int8, pg_catalog.encode($4::pg_catalog.bytea, "
	    "'hex')), "
	    "'')::pg_catalog.text FROM goldenarch.audit_entries e WHERE e.id OPERATOR(pg_catalog.=) $1 "
	    "AND e.action OPERATOR(pg_catalog.=) 'audit.incarnation'",
	    INT8OID, TEXTOID, INT8OID, BYTEAOID);
	GaRows rows;
	const char *expected = "none 0 -";

	if (tree->size == 0)
		return;
	rows = ga_query(&find, ga_int8(tree->link_id), ga_text(parent ? parent->origin : ""),
	                ga_int8(tree->parent_size),
	                ga_datum(PointerGetDatum(tree->parent_root), !tree->parent_root));
	if (rows.count > 0 && parent)
		expected = ga_row_text_present(&rows, 0, 2);
	if (ga_verify_id_of(tree, 0) != tree->link_id || rows.count != 1 ||
	    strcmp(ga_row_text_present(&rows, 0, 1), expected) != 0)
		ga_verify_bad(
		    v, GA_VERIFY_INCARNATIONS, tree->link_id,
		    "The first leaf of \"%s\" is not the row that opened it after the tree before.",
		    tree->origin);
	ga_rows_free(&rows);
}

static void
check_incarnation(GaVerify *v, int n)
{
	GaAuditTree *tree = v->trees[n];
	GaAuditTree *parent = n > 0 ? v->trees[n - 1] : NULL;
	uint8 root[GA_HASH_BYTES];

	check_link(v, tree, parent);
	if (tree->incarnation != n + 1)
		ga_verify_bad(v, GA_VERIFY_INCARNATIONS, 0, "Incarnation %d is missing.", n + 1);
	else if (parent && tree->parent_size < 0)
		ga_verify_bad(v, GA_VERIFY_INCARNATIONS, tree->link_id,
		              "\"%s\" does not name the tree before it.", tree->origin);
	else if (parent && (uint64) tree->parent_size <= parent->size)
	{
		if (!ga_tile_root((uint64) tree->parent_size, ga_audit_read_tile, parent, root))
		{
			if ((uint64) tree->parent_size >= parent->minimum_index)
				ga_verify_bad(v, GA_VERIFY_INCARNATIONS, tree->link_id,
				              "The tree before \"%s\" has no root at %lld leaves.", tree->origin,
				              (long long) tree->parent_size);
		}
		else if (!tree->parent_root || VARSIZE(tree->parent_root) - VARHDRSZ != GA_HASH_BYTES ||
		         memcmp(VARDATA(tree->parent_root), root, GA_HASH_BYTES) != 0)
			ga_verify_bad(v, GA_VERIFY_INCARNATIONS, tree->link_id,
			              "\"%s\" names another root of the tree before it.", tree->origin);
	}
}

void
ga_verify_trees(GaVerify *v)
{
	uint64 tiles = 0;
	uint64 leaves = 0;
	int n;

	for (n = 0; n < v->ntrees; n++)
	{
		if (!v->limited)
			tiles += check_all_tiles(v, v->trees[n]);
		check_root(v, v->trees[n]);
		leaves += v->trees[n]->size;
		if (v->whole)
			check_incarnation(v, n);
	}
	if (v->limited)
		ga_verify_good(v, GA_VERIFY_TILES, "The tiles above the rows hash up to the root.");
	else
		ga_verify_good(v, GA_VERIFY_TILES, UINT64_FORMAT " full tiles hash up to the root.", tiles);
	ga_verify_good(v, GA_VERIFY_ROOT, UINT64_FORMAT " leaves in %d trees.", leaves, v->ntrees);
	if (v->whole)
		ga_verify_good(v, GA_VERIFY_INCARNATIONS, "%d, each linked to the one before it.",
		               v->ntrees);
}
