/* SPDX-License-Identifier: PostgreSQL */
/*
 * The trigger that attach_audit() puts on a table: one audit row a changed row, in the changing
 * transaction, so that it commits with the change or not at all; inside another's restricted
 * operation too, since a change must never go unrecorded.
 *
 * The row is read, and its values rendered, with the rights of whoever changes it: what a type's
 * owner wrote must not run as ours. The entry that is hashed holds the table's name and the key;
 * every other value stands in the details alone, which it only commits to.
 */
#include "goldenarch/compat.h"

#include "catalog/pg_type_d.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "digest.h"
#include "goldenarch/audit.h"
#include "goldenarch/jsonbuild.h"
#include "row_json.h"

/* A longer value is told by its SHA-256: a row has some hundred such columns at the most. */
#define VALUE_SHOWN_MAX_BYTES (16 * 1024)
/* A longer key is told by its SHA-256: the entry must fit its bound whatever is changed. */
#define KEY_SHOWN_MAX_BYTES 1000

typedef struct Row
{
	Datum *values;
	bool *nulls;
} Row;

typedef struct Change
{
	const GaRowShape *shape;
	TupleDesc desc;
	const char *action;
	Row before;
	Row after;
	bool has_before;
	bool has_after;
	bool *old_told; /* by column of the shape */
	bool *new_told;
	bool withholds;
} Change;

static char *
hex_sha256(const char *bytes, size_t length)
{
	GaBytes piece = {bytes, length};
	uint8 hash[GA_HASH_BYTES];
	char *hex = palloc(2 * GA_HASH_BYTES + 1);

	if (!ga_sha256(&piece, 1, hash))
		elog(ERROR, "could not compute SHA-256");
	hex_encode((const char *) hash, GA_HASH_BYTES, hex);
	hex[2 * GA_HASH_BYTES] = '\0';
	return hex;
}

static void
read_row(const Change *change, HeapTuple tuple, Row *row)
{
	row->values = palloc(sizeof(Datum) * Max(change->shape->natts, 1));
	row->nulls = palloc(sizeof(bool) * Max(change->shape->natts, 1));
	heap_deform_tuple(tuple, change->desc, row->values, row->nulls);
}

/* Which columns are told of; false when nothing changed. */
static bool
compare(Change *change)
{
	const GaRowShape *shape = change->shape;
	bool differs = false;
	int i;

	change->old_told = palloc0(Max(shape->n, 1));
	change->new_told = palloc0(Max(shape->n, 1));
	for (i = 0; i < shape->n; i++)
	{
		const GaRowColumn *column = &shape->columns[i];
		int at = column->index;
		bool changed = !change->has_before || !change->has_after ||
		               !ga_row_same(column, change->before.values[at], change->before.nulls[at],
		                            change->after.values[at], change->after.nulls[at]);

		differs = differs || changed;
		if (changed && column->withheld)
			change->withholds = true;
		/* what has no key is told of whole */
		change->old_told[i] =
		    change->has_before && !column->withheld && (changed || shape->nkeys == 0);
		change->new_told[i] = change->has_after && !column->withheld && changed;
	}
	return differs;
}

static bool
too_long(const GaRowColumn *column, const Row *row)
{
	return !row->nulls[column->index] &&
	       ga_row_value_bytes(column, row->values[column->index]) > VALUE_SHOWN_MAX_BYTES;
}

static void
add_digest(GaJson *json, const Change *change, const GaRowColumn *column, const Row *row)
{
	Oid type = TupleDescAttr(change->desc, column->index)->atttypid;
	const char *bytes;
	Size length;

	ga_row_value_text(column, type, row->values[column->index], &bytes, &length);
	ga_json_begin_object_in(json, column->name);
	ga_json_text(json, "sha256", hex_sha256(bytes, length));
	ga_json_int8(json, "bytes", (int64) length);
	ga_json_end_object(json);
}

static void
add_side(GaJson *json, const Change *change, const Row *row, const bool *told, const char *name,
         const char *digests)
{
	const GaRowShape *shape = change->shape;
	bool any_long = false;
	int i;

	ga_json_begin_object_in(json, name);
	for (i = 0; i < shape->n; i++)
	{
		const GaRowColumn *column = &shape->columns[i];

		if (!told[i])
			continue;
		if (too_long(column, row))
			any_long = true;
		else
			ga_row_add(json, column, row->values[column->index], row->nulls[column->index]);
	}
	ga_json_end_object(json);
	if (!any_long)
		return;
	ga_json_begin_object_in(json, digests);
	for (i = 0; i < shape->n; i++)
		if (told[i] && too_long(&shape->columns[i], row))
			add_digest(json, change, &shape->columns[i], row);
	ga_json_end_object(json);
}

static void
add_withheld(GaJson *json, const Change *change)
{
	const GaRowShape *shape = change->shape;
	int i;

	ga_json_begin_array_in(json, "withheld");
	for (i = 0; i < shape->n; i++)
	{
		const GaRowColumn *column = &shape->columns[i];
		int at = column->index;

		if (column->withheld &&
		    (!change->has_before || !change->has_after ||
		     !ga_row_same(column, change->before.values[at], change->before.nulls[at],
		                  change->after.values[at], change->after.nulls[at])))
			ga_json_text(json, NULL, column->name);
	}
	ga_json_end_array(json);
}

static Jsonb *
key_of(const Change *change, const Row *row)
{
	const GaRowShape *shape = change->shape;
	GaJson json;
	int i;

	ga_json_begin_object(&json);
	for (i = 0; i < shape->n; i++)
		if (shape->columns[i].key)
			ga_row_add(&json, &shape->columns[i], row->values[shape->columns[i].index],
			           row->nulls[shape->columns[i].index]);
	return ga_json_end(&json);
}

/* One column: its text. Several: the object of them, as jsonb prints it. None: "-". */
static char *
key_text(const GaRowShape *shape, const Jsonb *key)
{
	char *text = NULL;
	int i;

	if (shape->nkeys == 1)
		for (i = 0; i < shape->n; i++)
			if (shape->columns[i].key)
				text = ga_json_get_text(key, shape->columns[i].name);
	if (shape->nkeys > 1)
		text = JsonbToCString(NULL, (JsonbContainer *) &key->root, VARSIZE(key));
	if (!text || text[0] == '\0')
		return pstrdup("-");
	if (strlen(text) > KEY_SHOWN_MAX_BYTES)
		return psprintf("sha256:%s", hex_sha256(text, strlen(text)));
	return text;
}

static void
add_partition(GaJson *json, const TriggerData *trigger, Oid root)
{
	Oid relation = RelationGetRelid(trigger->tg_relation);

	if (relation != root)
		ga_json_text(json, "partition", ga_table_name(relation));
}

/* The caller has read the rows. */
static void
record(const TriggerData *trigger, Change *change)
{
	const Row *identity = change->has_before ? &change->before : &change->after;
	int settings;
	GaJson json;
	Jsonb *key;
	char *id;

	if (!compare(change))
		return;
	settings = ga_row_settings_begin(change->shape);
	key = key_of(change, identity);
	ga_json_begin_object(&json);
	if (change->shape->nkeys > 0)
		ga_json_jsonb(&json, "key", key);
	if (change->has_before)
		add_side(&json, change, &change->before, change->old_told, "old", "old_digests");
	if (change->has_after)
		add_side(&json, change, &change->after, change->new_told, "new", "new_digests");
	if (change->withholds)
		add_withheld(&json, change);
	add_partition(&json, trigger, change->shape->root);
	id = key_text(change->shape, key);
	ga_row_settings_end(settings);
	(void) ga_audit(change->action, ga_table_name(change->shape->root), id, ga_json_end(&json));
}

/* The table that was attached: the trigger for rows knows of which it is a copy. */
static Oid
root_of(const TriggerData *trigger)
{
	const TriggerDesc *all = trigger->tg_relation->trigdesc;
	TriggerData rows = *trigger;
	int i;

	for (i = 0; i < all->numtriggers; i++)
	{
		rows.tg_trigger = &all->triggers[i];
		if (rows.tg_trigger->tgfoid == trigger->tg_trigger->tgfoid &&
		    TRIGGER_FOR_ROW(rows.tg_trigger->tgtype))
			return ga_row_shape(&rows)->root;
	}
	return RelationGetRelid(trigger->tg_relation);
}

static void
record_truncate(const TriggerData *trigger)
{
	Oid root = root_of(trigger);
	GaJson json;

	ga_json_begin_object(&json);
	add_partition(&json, trigger, root);
	(void) ga_audit("row.truncate", ga_table_name(root), "*", ga_json_end(&json));
}

static void
check_protocol(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
	    TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) ==
	        (TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("audit_row must be a trigger after the change, for each row"),
		                errhint("Call attach_audit().")));
}

GA_FUNCTION(ga_audit_row);
Datum
ga_audit_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Change change = {0};

	check_protocol(fcinfo);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		record_truncate(trigger);
		return PointerGetDatum(NULL);
	}
	change.shape = ga_row_shape(trigger);
	change.desc = RelationGetDescr(trigger->tg_relation);
	change.has_before = !TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	change.has_after = !TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
	change.action = !change.has_before  ? "row.insert"
	                : !change.has_after ? "row.delete"
	                                    : "row.update";
	if (change.has_before)
		read_row(&change, trigger->tg_trigtuple, &change.before);
	if (change.has_after)
		read_row(&change, change.has_before ? trigger->tg_newtuple : trigger->tg_trigtuple,
		         &change.after);
	record(trigger, &change);
	return PointerGetDatum(NULL);
}
