/* SPDX-License-Identifier: PostgreSQL */
/*
 * The tree grows by the difference of two snapshots. Under one fixed snapshot, every audit row is
 * taken that it sees and that the last sealing did not: rows of transactions that were running
 * then, and of those that began since. Nothing is missed however transactions overlap, and a
 * transaction that stays open holds up nobody. The order of the leaves is that of sealing; within
 * one sealing, of the writing transactions' ids. The first sealing of an incarnation takes what is
 * in no tree yet, the link to the tree before it first.
 *
 * This transaction writes no audit row: the snapshot would see its own rows and yet not count its
 * id as finished. Each entry is hashed anew; where the result is not the leaf that was stored with
 * it, nothing is sealed any more.
 */
#include "seal.h"

#include "access/transam.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "goldenarch/clock.h"
#include "goldenarch/debug.h"
#include "goldenarch/query.h"
#include "merkle.h"
#include "tile.h"

#define PAGE_ROWS 4096
#define LEAF_COLUMNS                                                                     \
	"SELECT a.xid::pg_catalog.xid8, a.ordinal::pg_catalog.int8, a.id::pg_catalog.int8, " \
	"a.tenant::pg_catalog.text, a.entry::pg_catalog.bytea, a.leaf::pg_catalog.bytea "    \
	"FROM goldenarch.audit_entries_rows a "
#define AFTER_KEY                                                                   \
	"ROW(a.xid, a.ordinal, a.id) OPERATOR(pg_catalog.>) ROW($1, $2, $3) AND a.xid " \
	"OPERATOR(pg_catalog.<=) $4 "
#define IN_ORDER " ORDER BY a.xid, a.ordinal, a.id LIMIT 4096"

typedef struct RowKey
{
	FullTransactionId xid;
	int64 ordinal;
	int64 id;
} RowKey;

typedef struct Growth
{
	SealPass *pass;
	GaSealTree tree;
	GaTileEdge *edge;
	Datum tenants[PAGE_ROWS];
	Datum ids[PAGE_ROWS];
	int n;
} Growth;

static void
stop(Growth *growth, const char *why)
{
	strlcpy(growth->pass->stopped, why, sizeof(growth->pass->stopped));
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the audit log is not sealed: %s", why),
	                errdetail("Nothing is sealed or signed until this is mended.")));
}

static bool
put_tile(void *context, int level, uint64_t index, const uint8_t hashes[GA_TILE_BYTES])
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.audit_tiles (incarnation, level, index, hashes) VALUES "
	            "($1, $2::pg_catalog.int2, $3, $4)",
	            INT4OID, INT4OID, INT8OID, BYTEAOID);
	Growth *growth = context;
	GaArg bytes = ga_bytea(hashes, GA_TILE_BYTES);

	(void) ga_query(&insert, ga_int4(growth->tree.incarnation), ga_int4(level),
	                ga_int8((int64) index), bytes);
	pfree(DatumGetPointer(bytes.value));
	return true;
}

/* What is in tenants and ids, as the last n leaves of the tree. */
static void
put_leaves(Growth *growth)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.audit_leaves_rows (tenant, id, incarnation, leaf_index) SELECT "
	    "u.tenant, u.id, $3, $4 OPERATOR(pg_catalog.+) u.n FROM ROWS FROM "
	    "(pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS u(tenant, id, n)",
	    TEXTARRAYOID, INT8ARRAYOID, INT4OID, INT8OID);
	ArrayType *tenants;
	ArrayType *ids;
	int i;

	if (growth->n == 0)
		return;
	tenants = construct_array(growth->tenants, growth->n, TEXTOID, -1, false, TYPALIGN_INT);
	ids = construct_array(growth->ids, growth->n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
	                      TYPALIGN_DOUBLE);
	(void) ga_query(&insert, ga_datum(PointerGetDatum(tenants), false),
	                ga_datum(PointerGetDatum(ids), false), ga_int4(growth->tree.incarnation),
	                ga_int8((int64) growth->edge->size - growth->n - 1));
	for (i = 0; i < growth->n; i++)
		pfree(DatumGetPointer(growth->tenants[i]));
	pfree(tenants);
	pfree(ids);
	growth->pass->grown += growth->n;
	growth->n = 0;
}

static void
take_row(Growth *growth, const GaRows *rows, uint64 row)
{
	int64 id = ga_row_int8(rows, row, 3);
	bytea *entry = ga_row_bytea_present(rows, row, 5);
	bytea *leaf = ga_row_bytea_present(rows, row, 6);
	uint8 hash[GA_HASH_BYTES];
	bool isnull;

	if (!ga_merkle_leaf(VARDATA(entry), VARSIZE(entry) - VARHDRSZ, hash))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash an audit entry")));
	if (VARSIZE(leaf) - VARHDRSZ != GA_HASH_BYTES ||
	    memcmp(hash, VARDATA(leaf), GA_HASH_BYTES) != 0)
		stop(growth,
		     psprintf("the entry of row " INT64_FORMAT " is not the one that its leaf was made of",
		              id));
	if (!ga_edge_append(growth->edge, hash, put_tile, growth))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash a tile")));
	growth->tenants[growth->n] = ga_row_datum(rows, row, 4, TEXTOID, &isnull);
	growth->ids[growth->n++] = Int64GetDatum(id);
	pfree(entry);
	pfree(leaf);
}

/* Every row of the statement from after this key, up to this transaction. */
static void
take_rows(Growth *growth, GaStmt *stmt, FullTransactionId from, FullTransactionId to)
{
	RowKey key = {from, PG_INT64_MIN, PG_INT64_MIN};
	uint64 found;

	do
	{
		GaRows rows =
		    ga_query(stmt, ga_datum(FullTransactionIdGetDatum(key.xid), false),
		             ga_int8(key.ordinal), ga_int8(key.id),
		             ga_datum(FullTransactionIdGetDatum(to), false), ga_int8(growth->tree.link_id));
		uint64 row;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		found = rows.count;
		for (row = 0; row < found; row++)
			take_row(growth, &rows, row);
		if (found > 0)
		{
			key.xid =
			    DatumGetFullTransactionId(ga_row_datum(&rows, found - 1, 1, XID8OID, &isnull));
			key.ordinal = ga_row_int8(&rows, found - 1, 2);
			key.id = ga_row_int8(&rows, found - 1, 3);
		}
		ga_rows_free(&rows);
		put_leaves(growth);
	} while (found == PAGE_ROWS);
}

/* A new incarnation: its link, then whatever is in no tree. */
static void
take_all(Growth *growth)
{
	static GaStmt link = GA_READ(LEAF_COLUMNS "WHERE a.id OPERATOR(pg_catalog.=) $1", INT8OID);
	static GaStmt unsealed =
	    GA_READ(LEAF_COLUMNS "WHERE " AFTER_KEY "AND a.id OPERATOR(pg_catalog.<>) $5 AND NOT "
	                         "EXISTS (SELECT 1 FROM goldenarch.audit_leaves_rows l WHERE l.tenant "
	                         "OPERATOR(pg_catalog.=) a.tenant AND l.id OPERATOR(pg_catalog.=) "
	                         "a.id)" IN_ORDER,
	            XID8OID, INT8OID, INT8OID, XID8OID, INT8OID);
	GaRows rows = ga_query(&link, ga_int8(growth->tree.link_id));

	if (rows.count != 1)
		stop(growth, psprintf("row " INT64_FORMAT ", which links the tree to the one before it, is "
		                      "missing",
		                      growth->tree.link_id));
	take_row(growth, &rows, 0);
	ga_rows_free(&rows);
	put_leaves(growth);
	take_rows(growth, &unsealed, FullTransactionIdFromU64(0),
	          FullTransactionIdFromU64(PG_UINT64_MAX));
}

/* Transactions that the last snapshot saw running and that left rows; then the later ones. */
static void
take_difference(Growth *growth)
{
	/* OFFSET 0: looked up a transaction, never a hash of the whole log in every pass */
	static GaStmt ended = GA_READ(
	    "SELECT x.xid FROM goldenarch.audit_trees t, LATERAL "
	    "pg_catalog.pg_snapshot_xip(t.sealed) x(xid) WHERE t.incarnation "
	    "OPERATOR(pg_catalog.=) $1 AND EXISTS (SELECT 1 FROM goldenarch.audit_entries_rows a "
	    "WHERE a.xid OPERATOR(pg_catalog.=) x.xid OFFSET 0) ORDER BY x.xid",
	    INT4OID);
	static GaStmt horizon =
	    GA_READ("SELECT pg_catalog.pg_snapshot_xmax(t.sealed) FROM goldenarch.audit_trees t "
	            "WHERE t.incarnation OPERATOR(pg_catalog.=) $1",
	            INT4OID);
	static GaStmt of_transactions =
	    GA_READ(LEAF_COLUMNS "WHERE " AFTER_KEY "AND $5 IS NOT NULL" IN_ORDER, XID8OID, INT8OID,
	            INT8OID, XID8OID, INT8OID);
	GaRows rows = ga_query(&ended, ga_int4(growth->tree.incarnation));
	FullTransactionId xid;
	uint64 row;
	bool isnull;

	for (row = 0; row < rows.count; row++)
	{
		xid = DatumGetFullTransactionId(ga_row_datum(&rows, row, 1, XID8OID, &isnull));
		take_rows(growth, &of_transactions, xid, xid);
	}
	ga_rows_free(&rows);
	rows = ga_query(&horizon, ga_int4(growth->tree.incarnation));
	xid = DatumGetFullTransactionId(ga_row_datum(&rows, 0, 1, XID8OID, &isnull));
	ga_rows_free(&rows);
	take_rows(growth, &of_transactions, xid, FullTransactionIdFromU64(PG_UINT64_MAX));
}

static void
read_edge(Growth *growth)
{
	static GaStmt find =
	    GA_READ("SELECT t.edge::pg_catalog.bytea FROM goldenarch.audit_trees t WHERE "
	            "t.incarnation OPERATOR(pg_catalog.=) $1",
	            INT4OID);
	GaRows rows = ga_query(&find, ga_int4(growth->tree.incarnation));
	bytea *edge = ga_row_bytea_present(&rows, 0, 1);
	uint8 root[GA_HASH_BYTES];

	growth->edge = palloc(sizeof(GaTileEdge));
	if (!ga_edge_unpack(growth->edge, (uint64) growth->tree.size, (uint8 *) VARDATA(edge),
	                    VARSIZE(edge) - VARHDRSZ) ||
	    !ga_edge_root(growth->edge, root) || memcmp(root, growth->tree.root, GA_HASH_BYTES) != 0)
		stop(growth, "the stored edge of the tree is not that of its root");
	ga_rows_free(&rows);
}

static void
write_tree(Growth *growth, const char *snapshot)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.audit_trees SET size = $2, root = $3, edge = $4, sealed = "
	            "$5::pg_catalog.pg_snapshot, sealed_at = $6 WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1",
	            INT4OID, INT8OID, BYTEAOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID);
	size_t bytes = ga_edge_packed_bytes(growth->edge->size);
	uint8 *packed = palloc(bytes + 1);
	uint8 root[GA_HASH_BYTES];

	ga_edge_pack(growth->edge, packed);
	if (!ga_edge_root(growth->edge, root))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash a root")));
	(void) ga_query(&update, ga_int4(growth->tree.incarnation), ga_int8((int64) growth->edge->size),
	                ga_bytea(root, sizeof(root)), ga_bytea(packed, bytes), ga_text(snapshot),
	                ga_timestamp(ga_now()));
}

void
seal_grow(SealPass *pass)
{
	static GaStmt current = GA_READ("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text");
	Growth *growth = palloc0(sizeof(Growth));
	GaRows rows;
	char *snapshot;

	growth->pass = pass;
	ga_seal_tree(&growth->tree);
	if (growth->tree.incarnation == 0 || !growth->tree.here)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	rows = ga_query(&current);
	snapshot = ga_row_text_present(&rows, 0, 1);
	read_edge(growth);
	if (growth->tree.size == 0)
		take_all(growth);
	else
		take_difference(growth);
	PopActiveSnapshot();
	if (pass->grown > 0)
		write_tree(growth, snapshot);
	ga_seal_say_stopped(&growth->tree, NULL);
	GA_DEBUG_POINT("seal-before-commit");
}
