/* SPDX-License-Identifier: PostgreSQL */
/*
 * The stored audit tree, for reading: one row an incarnation, its full tiles, and the edge that
 * holds the others. A tile of an earlier, smaller tree is the beginning of the tile of today. What
 * is stored is hostile input: lengths are checked, and what does not fit is "not to be had".
 */
#include "audit_tiles.h"

#define TREE_COLUMNS                                                                               \
	"SELECT t.incarnation::pg_catalog.int4, t.origin::pg_catalog.text, "                           \
	"t.opened_at::pg_catalog.timestamptz, t.reason::pg_catalog.text, "                             \
	"t.link_id::pg_catalog.int8, coalesce(t.parent_size, -1)::pg_catalog.int8, "                   \
	"t.parent_root::pg_catalog.bytea, t.size::pg_catalog.int8, t.root::pg_catalog.bytea, "         \
	"t.edge::pg_catalog.bytea, t.minimum_index::pg_catalog.int8, t.fork::pg_catalog.text, "        \
	"t.sealed_at::pg_catalog.timestamptz, t.stopped::pg_catalog.text FROM goldenarch.audit_trees " \
	"t "

GaAuditTree *
ga_audit_tree(int32 incarnation)
{
	static GaStmt find = GA_READ(TREE_COLUMNS "WHERE $1 OPERATOR(pg_catalog.=) 0 OR t.incarnation "
	                                          "OPERATOR(pg_catalog.=) $1 ORDER BY t.incarnation "
	                                          "USING OPERATOR(pg_catalog.>) LIMIT 1",
	                             INT4OID);
	GaRows rows = ga_query(&find, ga_int4(incarnation));
	GaAuditTree *tree;
	bytea *edge;

	if (rows.count == 0)
		return NULL;
	tree = palloc0(sizeof(GaAuditTree));
	tree->incarnation = ga_row_int4(&rows, 0, 1);
	tree->origin = ga_row_text_present(&rows, 0, 2);
	tree->opened_at = ga_row_timestamp(&rows, 0, 3);
	tree->reason = ga_row_text_present(&rows, 0, 4);
	tree->link_id = ga_row_int8(&rows, 0, 5);
	tree->parent_size = ga_row_int8(&rows, 0, 6);
	tree->parent_root = ga_row_bytea(&rows, 0, 7);
	tree->size = (uint64) Max(ga_row_int8(&rows, 0, 8), 0);
	tree->root = ga_row_bytea_present(&rows, 0, 9);
	edge = ga_row_bytea_present(&rows, 0, 10);
	tree->minimum_index = (uint64) Max(ga_row_int8(&rows, 0, 11), 0);
	tree->fork = ga_row_text(&rows, 0, 12);
	tree->sealed_at = ga_row_timestamp(&rows, 0, 13);
	tree->stopped = ga_row_text(&rows, 0, 14);
	tree->edge = palloc(sizeof(GaTileEdge));
	if (!ga_edge_unpack(tree->edge, tree->size, (uint8 *) VARDATA(edge), VARSIZE(edge) - VARHDRSZ))
	{
		pfree(tree->edge);
		tree->edge = NULL;
	}
	ga_rows_free(&rows);
	return tree;
}

/* The full tile, from the cache or the table; null where it is missing or is not one. */
static const uint8 *
full_tile(GaAuditTree *tree, int level, uint64 index)
{
	static GaStmt find =
	    GA_READ("SELECT t.hashes::pg_catalog.bytea FROM goldenarch.audit_tiles t WHERE "
	            "t.incarnation OPERATOR(pg_catalog.=) $1 AND t.level OPERATOR(pg_catalog.=) $2 AND "
	            "t.index OPERATOR(pg_catalog.=) $3",
	            INT4OID, INT4OID, INT8OID);
	GaRows rows;
	bytea *hashes = NULL;
	bool good;

	if (tree->cached[level] && tree->cached_index[level] == index)
		return tree->cached[level];
	rows = ga_query(&find, ga_int4(tree->incarnation), ga_int4(level), ga_int8((int64) index));
	if (rows.count == 1)
		hashes = ga_row_bytea(&rows, 0, 1);
	ga_rows_free(&rows);
	good = hashes && VARSIZE(hashes) - VARHDRSZ == GA_TILE_BYTES;
	if (good)
	{
		if (!tree->cached[level])
			tree->cached[level] = MemoryContextAlloc(GetMemoryChunkContext(tree), GA_TILE_BYTES);
		memcpy(tree->cached[level], VARDATA(hashes), GA_TILE_BYTES);
		tree->cached_index[level] = index;
	}
	if (hashes)
		pfree(hashes);
	return good ? tree->cached[level] : NULL;
}

bool
ga_audit_read_tile(void *context, int level, uint64 index, int width, uint8 hashes[GA_TILE_BYTES])
{
	GaAuditTree *tree = context;
	const uint8 *from;

	if (level < 0 || level >= GA_TILE_LEVELS || width < 1 ||
	    width > ga_tile_width(tree->size, level, index))
		return false;
	if (ga_tile_width(tree->size, level, index) == GA_TILE_WIDTH)
		from = full_tile(tree, level, index);
	else
		from = tree->edge ? tree->edge->hashes[level] : NULL;
	if (!from)
		return false;
	memcpy(hashes, from, (size_t) width * GA_HASH_BYTES);
	return true;
}
