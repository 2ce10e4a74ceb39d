/* SPDX-License-Identifier: PostgreSQL */
/*
 * The one insert that every audited call pays for. A plan for it costs more than the row: it reads
 * the table's CHECK and policy from text, finds the partition and starts and ends an executor each
 * time. So the row goes straight into the one leaf and its indexes, as long as the table is exactly
 * what the extension made: 16 columns of these types, one leaf, btree indexes on plain columns, and
 * no trigger, rule, policy or further check that an insert would have to run. An owner who changed
 * any of that gets the plan, and with it whatever he added.
 *
 * What the shipped CHECK says (three outcomes) and what row security would ask (the principal's own
 * tenant) holds by construction of the caller's values. Locks: RowExclusiveLock on table and leaf,
 * held to the end of the transaction, parent first, as the plan would. Crash and rollback: those of
 * any insert.
 */
#include "audit_row.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_type_d.h"
#include "commands/sequence.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "partitioning/partdesc.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

#include "goldenarch/query.h"
#include "limits.h"

#define SALTS 64
#define MAX_INDEXES 16

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

/* A check that an insert would have to run, beyond the one of outcome that was shipped. */
static bool
checks_more(TupleDesc desc)
{
	return desc->constr && (desc->constr->num_check > 1 || desc->constr->has_generated_stored);
}

static bool
parent_is_plain(Relation parent)
{
	return parent->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && !parent->rd_rules &&
	       !inserts_trigger(parent->trigdesc) &&
	       RelationGetPartitionDesc(parent, false)->nparts == 1 &&
	       pg_class_aclcheck(RelationGetRelid(parent), GetUserId(), ACL_INSERT) == ACLCHECK_OK;
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

	return index->rd_rel->relam == BTREE_AM_OID && form->indimmediate && !form->indisexclusion &&
	       form->indisready && form->indisvalid && RelationGetIndexExpressions(index) == NIL &&
	       RelationGetIndexPredicate(index) == NIL;
}

/* Opens every index of the leaf; false, with those opened closed again, if one is not plain. */
static bool
open_indexes(Relation leaf, Relation *indexes, int *nindexes)
{
	List *list = RelationGetIndexList(leaf);
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
	list_free(list);
	while (!plain && *nindexes > 0)
		index_close(indexes[--*nindexes], NoLock);
	return plain;
}

static void
insert_into(Relation leaf, Relation *indexes, int nindexes, const Datum *values)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(leaf), &TTSOpsVirtual);
	Datum keys[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS] = {false};
	int i;
	int k;

	memcpy(slot->tts_values, values, sizeof(Datum) * GA_AUDIT_COLUMNS);
	memset(slot->tts_isnull, 0, sizeof(bool) * GA_AUDIT_COLUMNS);
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(leaf, slot, GetCurrentCommandId(true), 0, NULL);
	for (i = 0; i < nindexes; i++)
	{
		Form_pg_index form = indexes[i]->rd_index;

		for (k = 0; k < form->indnkeyatts; k++)
			keys[k] = values[form->indkey.values[k] - 1];
		(void) index_insert(indexes[i], keys, nulls, &slot->tts_tid, leaf,
		                    form->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false,
		                    BuildIndexInfo(indexes[i]));
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* False: the table is not what we made; a plan must do it. */
static bool
insert_directly(const Datum *values)
{
	Oid schema = get_namespace_oid("goldenarch", true);
	Oid parent_id = get_relname_relid("audit_entries", schema);
	Oid leaf_id = get_relname_relid("audit_entries_rows", schema);
	Relation indexes[MAX_INDEXES];
	int nindexes = 0;
	Relation parent;
	Relation leaf;
	bool direct;

	if (!OidIsValid(parent_id) || !OidIsValid(leaf_id))
		return false;
	parent = table_open(parent_id, RowExclusiveLock);
	leaf = table_open(leaf_id, RowExclusiveLock);
	direct = parent_is_plain(parent) && leaf_is_plain(leaf) &&
	         RelationGetPartitionDesc(parent, false)->oids[0] == leaf_id &&
	         open_indexes(leaf, indexes, &nindexes);
	if (direct)
		insert_into(leaf, indexes, nindexes, values);
	while (nindexes > 0)
		index_close(indexes[--nindexes], NoLock);
	table_close(leaf, NoLock);
	table_close(parent, NoLock);
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
	int i;

	if (insert_directly(values))
		return;
	for (i = 0; i < GA_AUDIT_COLUMNS; i++)
		args[i] = ga_datum(values[i], false);
	(void) ga_query_args(&insert, args, GA_AUDIT_COLUMNS);
}

int64
ga_audit_next_id(void)
{
	Oid schema = get_namespace_oid("goldenarch", false);
	Oid sequence = get_relname_relid("audit_id", schema);

	if (!OidIsValid(sequence) || get_rel_relkind(sequence) != RELKIND_SEQUENCE)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
		                errmsg("sequence goldenarch.audit_id does not exist")));
	return nextval_internal(sequence, true);
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
