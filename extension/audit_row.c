/* SPDX-License-Identifier: PostgreSQL */
/*
 * The one insert that every audited call pays for. A plan for it costs more than the row: it reads
 * the table's CHECK and policy from text, finds the partition and starts and ends an executor each
 * time. So the row goes straight into the one leaf and its indexes, as long as the table is exactly
 * what the extension made: 16 columns of these types, one leaf, btree and BRIN indexes on plain
 * columns, and no trigger, rule, policy or further check that an insert would have to run. An owner
 * who changed any of that gets the plan, and with it whatever he added.
 *
 * What the shipped CHECK says (three outcomes) and what row security would ask (the principal's own
 * tenant) holds by construction of the caller's values; the owner's privilege stands for the
 * caller's, and nobody's code runs, so there is no user to switch to.
 *
 * State: whether table and leaf are as shipped, looked at once and again after each change of them
 * that the server tells of. Locks: RowExclusiveLock on the leaf, held to the end of the
 * transaction: every change that matters locks it too, but a trigger or rule of the parent's, which
 * counts from the moment it is seen. Crash and rollback: those of any insert.
 */
#include "audit_row.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_type_d.h"
#include "commands/sequence.h"
#include "partitioning/partdesc.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"

#include "goldenarch/query.h"
#include "limits.h"

#define SALTS 64
#define MAX_INDEXES 16
#define SHIPPED_CHECK "audit_entries_outcome_check"

typedef struct Column
{
	const char *name;
	Oid type;
} Column;

static const Column columns[GA_AUDIT_COLUMNS] = {
    {"tenant", TEXTOID},        {"id", INT8OID},           {"at", TIMESTAMPTZOID},
    {"subject", TEXTOID},       {"role", TEXTOID},         {"action", TEXTOID},
    {"resource_type", TEXTOID}, {"resource_id", TEXTOID},  {"outcome", TEXTOID},
    {"details", JSONBOID},      {"details_text", TEXTOID}, {"salt", BYTEAOID},
    {"xid", XID8OID},           {"ordinal", INT8OID},      {"entry", BYTEAOID},
    {"leaf", BYTEAOID},
};

static bool
columns_are_ours(TupleDesc desc)
{
	int i;

	if (desc->natts != GA_AUDIT_COLUMNS)
		return false;
	for (i = 0; i < GA_AUDIT_COLUMNS; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (column->attisdropped || column->attgenerated || column->atttypid != columns[i].type ||
		    strcmp(NameStr(column->attname), columns[i].name) != 0)
			return false;
	}
	return true;
}

static bool
inserts_trigger(const TriggerDesc *triggers)
{
	return triggers &&
	       (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
	        triggers->trig_insert_instead_row || triggers->trig_insert_before_statement ||
	        triggers->trig_insert_after_statement || triggers->trig_insert_new_table);
}

/* Anything that an insert would have to run, but for the check of outcome that was shipped. */
static bool
checks_more(TupleDesc desc)
{
	const TupleConstr *constr = desc->constr;
	int i;

	if (!constr)
		return false;
	for (i = 0; i < constr->num_check; i++)
		if (strcmp(constr->check[i].ccname, SHIPPED_CHECK) != 0)
			return true;
	return constr->has_generated_stored;
}

static bool
parent_is_plain(Relation parent)
{
	return parent->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && !parent->rd_rules &&
	       !inserts_trigger(parent->trigdesc) &&
	       RelationGetPartitionDesc(parent, false)->nparts == 1 &&
	       pg_class_aclcheck(RelationGetRelid(parent), ga_owner(), ACL_INSERT) == ACLCHECK_OK;
}

static bool
leaf_is_plain(Relation leaf)
{
	return leaf->rd_rel->relkind == RELKIND_RELATION && leaf->rd_rel->relam == HEAP_TABLE_AM_OID &&
	       leaf->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT && !leaf->rd_rules &&
	       !leaf->rd_rel->relrowsecurity && !inserts_trigger(leaf->trigdesc) &&
	       !checks_more(RelationGetDescr(leaf)) && columns_are_ours(RelationGetDescr(leaf));
}

static bool
index_is_plain(Relation index)
{
	Form_pg_index form = index->rd_index;

	return (index->rd_rel->relam == BTREE_AM_OID || index->rd_rel->relam == BRIN_AM_OID) &&
	       form->indimmediate && !form->indisexclusion && form->indisready && form->indisvalid &&
	       RelationGetIndexExpressions(index) == NIL && RelationGetIndexPredicate(index) == NIL;
}

/* Opens the indexes; false, with those opened closed again, if one is not plain. */
static bool
open_indexes(List *list, Relation *indexes, int *nindexes)
{
	ListCell *cell;
	bool plain = list_length(list) <= MAX_INDEXES;

	*nindexes = 0;
	foreach (cell, list)
	{
		if (!plain)
			break;
		indexes[*nindexes] = index_open(lfirst_oid(cell), RowExclusiveLock);
		plain = index_is_plain(indexes[(*nindexes)++]);
	}
	while (!plain && *nindexes > 0)
		index_close(indexes[--*nindexes], NoLock);
	return plain;
}

static void
insert_into(Relation leaf, Relation *indexes, int nindexes, const Datum *values)
{
	bool nulls[Max(INDEX_MAX_KEYS, GA_AUDIT_COLUMNS)] = {false};
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(leaf), unconstify(Datum *, values), nulls);
	Datum keys[INDEX_MAX_KEYS];
	int i;
	int k;

	simple_heap_insert(leaf, tuple);
	for (i = 0; i < nindexes; i++)
	{
		Form_pg_index form = indexes[i]->rd_index;
		IndexInfo *info = BuildIndexInfo(indexes[i]);

		for (k = 0; k < form->indnatts; k++)
			keys[k] = values[form->indkey.values[k] - 1];
		(void) index_insert(indexes[i], keys, nulls, &tuple->t_self, leaf,
		                    form->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
		ga_index_insert_cleanup(indexes[i], info);
	}
	heap_freetuple(tuple);
}

/* What is known of the relations; looked at again where it is not valid. */
static struct
{
	bool valid;
	bool plain; /* table and leaf are what we made */
	Oid parent;
	Oid leaf;
	Oid sequence;
} known;

static void
on_relation_change(Datum arg, Oid relation)
{
	(void) arg;
	if (!OidIsValid(relation) || relation == known.parent || relation == known.leaf ||
	    relation == known.sequence)
		known.valid = false;
}

static void
on_catalog_change(Datum arg, int cache, uint32 hash)
{
	(void) arg;
	(void) cache;
	(void) hash;
	known.valid = false;
}

static void
look(void)
{
	static bool watching;
	Oid schema = get_namespace_oid("goldenarch", false);
	Relation parent;
	Relation leaf;

	if (!watching)
	{
		CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
		/* the schema and its owner, and what the owner is a member of */
		CacheRegisterSyscacheCallback(NAMESPACEOID, on_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_catalog_change, (Datum) 0);
		watching = true;
	}
	known.parent = get_relname_relid("audit_entries", schema);
	known.leaf = get_relname_relid("audit_entries_rows", schema);
	known.sequence = get_relname_relid("audit_id", schema);
	known.plain = false;
	/* a change told from here on is looked at the next time */
	known.valid = true;
	if (!OidIsValid(known.parent) || !OidIsValid(known.leaf))
		return;
	parent = table_open(known.parent, AccessShareLock);
	leaf = table_open(known.leaf, AccessShareLock);
	known.plain = parent_is_plain(parent) && leaf_is_plain(leaf) &&
	              RelationGetPartitionDesc(parent, false)->oids[0] == known.leaf;
	table_close(leaf, AccessShareLock);
	table_close(parent, AccessShareLock);
}

/* False: the table is not what we made; a plan must do it. */
static bool
insert_directly(const Datum *values)
{
	Relation indexes[MAX_INDEXES];
	int nindexes = 0;
	Relation leaf;
	List *list;
	bool direct;

	if (!known.valid)
		look();
	if (!known.plain || !(leaf = try_table_open(known.leaf, RowExclusiveLock)))
		return false;
	/*
	 * Looked at after that: the lock brings what others changed to our notice, and an index that is
	 * made without one (CONCURRENTLY) from now on waits for this transaction.
	 */
	list = RelationGetIndexList(leaf);
	if (!known.valid)
		look();
	direct = known.plain && RelationGetRelid(leaf) == known.leaf &&
	         open_indexes(list, indexes, &nindexes);
	if (direct)
		insert_into(leaf, indexes, nindexes, values);
	while (nindexes > 0)
		index_close(indexes[--nindexes], NoLock);
	list_free(list);
	table_close(leaf, NoLock);
	if (direct)
		CommandCounterIncrement();
	return direct;
}

void
ga_audit_insert(const Datum *values)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.audit_entries (tenant, id, at, subject, role, action, "
	    "resource_type, resource_id, outcome, details, details_text, salt, xid, ordinal, entry, "
	    "leaf) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
	    TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	    JSONBOID, TEXTOID, BYTEAOID, XID8OID, INT8OID, BYTEAOID, BYTEAOID);
	GaArg args[GA_AUDIT_COLUMNS];
	GaCall call;
	int i;

	if (insert_directly(values))
		return;
	for (i = 0; i < GA_AUDIT_COLUMNS; i++)
		args[i] = ga_datum(values[i], false);
	ga_enter(&call, NULL);
	(void) ga_query_args(&insert, args, GA_AUDIT_COLUMNS);
	ga_leave(&call);
}

int64
ga_audit_next_id(void)
{
	if (!known.valid)
		look();
	if (!OidIsValid(known.sequence) || get_rel_relkind(known.sequence) != RELKIND_SEQUENCE)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
		                errmsg("sequence goldenarch.audit_id does not exist")));
	return nextval_internal(known.sequence, false);
}

void
ga_audit_salt(uint8 *salt, size_t bytes)
{
	static uint8 pool[SALTS * GA_SALT_BYTES];
	static size_t left;

	if (left < bytes)
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
			                errmsg("could not commit to the details of an audit entry")));
		left = sizeof(pool);
	}
	left -= bytes;
	memcpy(salt, pool + left, bytes);
	explicit_bzero(pool + left, bytes);
}
