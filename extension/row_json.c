/* SPDX-License-Identifier: PostgreSQL */
/*
 * Rows as JSON: see row_json.h.
 *
 * State: one shape a trigger, in a hash table of this backend, rebuilt after the server tells that
 * the table changed. A shape in use stays: what is out of date is freed at the end of the
 * transaction. No locks but those that the firing statement holds.
 */
#include "row_json.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

typedef struct Entry
{
	Oid trigger; /* hash key */
	Oid relation;
	bool valid;
	MemoryContext context; /* of the shape */
	GaRowShape *shape;
} Entry;

static HTAB *shapes;
static MemoryContext retired; /* parent of contexts that go at the end of the transaction */

static void
on_relation_change(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	Entry *entry;

	(void) arg;
	hash_seq_init(&scan, shapes);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relation) || entry->relation == relation)
			entry->valid = false;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		MemoryContextDeleteChildren(retired);
}

static void
begin(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Entry)};

	retired =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch old row shapes", ALLOCSET_SMALL_SIZES);
	shapes = hash_create("goldenarch row shapes", 16, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
	RegisterXactCallback(at_transaction_end, NULL);
}

/* The table at the top of the triggers that this one is a copy of. */
static Oid
root_of(const TriggerData *trigger)
{
	Oid oid = trigger->tg_trigger->tgoid;
	Oid root = RelationGetRelid(trigger->tg_relation);
	Relation catalog;

	if (!trigger->tg_trigger->tgisclone)
		return root;
	catalog = table_open(TriggerRelationId, AccessShareLock);
	while (OidIsValid(oid))
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple tuple;

		ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
		            ObjectIdGetDatum(oid));
		scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
		tuple = systable_getnext(scan);
		oid = InvalidOid;
		if (HeapTupleIsValid(tuple))
		{
			root = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
			oid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid;
		}
		systable_endscan(scan);
	}
	table_close(catalog, AccessShareLock);
	return root;
}

static GaRowKind
kind_of(Oid base_type)
{
	switch (base_type)
	{
		case BOOLOID:
			return GA_ROW_BOOL;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return GA_ROW_INT;
		case NUMERICOID:
			return GA_ROW_NUMERIC;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return GA_ROW_TEXT;
		case BYTEAOID:
			return GA_ROW_BYTEA;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return GA_ROW_TIME;
		case JSONBOID:
			return GA_ROW_JSONB;
		default:
			return GA_ROW_OTHER;
	}
}

/* to_jsonb(anyelement) asks its call expression for the type. */
static void
prepare_to_jsonb(GaRowColumn *column, Oid type)
{
	Node *argument = (Node *) makeNullConst(type, -1, InvalidOid);

	fmgr_info(F_TO_JSONB, &column->to_jsonb);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid,
	                                         InvalidOid, COERCE_EXPLICIT_CALL),
	                   &column->to_jsonb);
}

static bool
is_withheld(const Trigger *trigger, const char *name)
{
	int i;

	for (i = 0; i < trigger->tgnargs; i++)
		if (strcmp(trigger->tgargs[i], name) == 0)
			return true;
	return false;
}

char *
ga_table_name(Oid relation)
{
	char *schema = get_namespace_name(get_rel_namespace(relation));
	char *name = get_rel_name(relation);

	if (!schema || !name)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
		                errmsg("relation with OID %u does not exist", relation)));
	return quote_qualified_identifier(schema, name);
}

Bitmapset *
ga_key_columns(Relation relation)
{
	Bitmapset *key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);

	return key ? key : RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_IDENTITY_KEY);
}

/* Allocated in the current context. */
static GaRowShape *
make_shape(const TriggerData *trigger)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Bitmapset *key = ga_key_columns(trigger->tg_relation);
	GaRowShape *shape = palloc0(sizeof(GaRowShape));
	int i;

	shape->natts = desc->natts;
	shape->plain = true;
	shape->root = root_of(trigger);
	shape->columns = palloc0(sizeof(GaRowColumn) * Max(desc->natts, 1));
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		GaRowColumn *column = &shape->columns[shape->n];

		/* a virtual generated column has no value in the row, and follows from those that do */
		if (attribute->attisdropped || attribute->attgenerated == 'v')
			continue;
		column->index = i;
		column->name = pstrdup(NameStr(attribute->attname));
		column->base_type = getBaseType(attribute->atttypid);
		column->kind = kind_of(column->base_type);
		column->length = attribute->attlen;
		column->by_value = attribute->attbyval;
		column->key = bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, key);
		column->withheld = is_withheld(trigger->tg_trigger, column->name);
		if (column->kind == GA_ROW_OTHER || column->kind == GA_ROW_BYTEA)
		{
			prepare_to_jsonb(column, attribute->atttypid);
			shape->plain = false;
		}
		shape->nkeys += column->key;
		shape->n++;
	}
	return shape;
}

const GaRowShape *
ga_row_shape(const TriggerData *trigger)
{
	Oid oid = trigger->tg_trigger->tgoid;
	MemoryContext context;
	MemoryContext old;
	GaRowShape *shape;
	Entry *entry;
	bool found;

	if (!shapes)
		begin();
	entry = hash_search(shapes, &oid, HASH_FIND, NULL);
	if (entry && entry->valid)
		return entry->shape;
	context =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch row shape", ALLOCSET_SMALL_SIZES);
	entry = hash_search(shapes, &oid, HASH_ENTER, &found);
	if (found && entry->context)
		MemoryContextSetParent(entry->context, retired);
	entry->context = NULL;
	entry->shape = NULL;
	entry->relation = RelationGetRelid(trigger->tg_relation);
	/* a change told while it is made makes it old at once */
	entry->valid = true;
	old = MemoryContextSwitchTo(context);
	PG_TRY();
	{
		shape = make_shape(trigger);
	}
	PG_CATCH();
	{
		(void) hash_search(shapes, &oid, HASH_REMOVE, NULL);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	entry = hash_search(shapes, &oid, HASH_FIND, NULL);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->context = context;
	entry->shape = shape;
	return shape;
}

/* Two rows of one table often share a value that lies outside: then it need not be fetched. */
static bool
same_pointer(Datum a, Datum b)
{
	const char *left = DatumGetPointer(a);
	const char *right = DatumGetPointer(b);

	return VARATT_IS_EXTERNAL_ONDISK(left) && VARATT_IS_EXTERNAL_ONDISK(right) &&
	       memcmp(left, right, VARSIZE_EXTERNAL(left)) == 0;
}

bool
ga_row_same(const GaRowColumn *column, Datum a, bool a_null, Datum b, bool b_null)
{
	if (a_null || b_null)
		return a_null == b_null;
	if (column->length == -1 && same_pointer(a, b))
		return true;
	return datum_image_eq(a, b, column->by_value, column->length);
}

Size
ga_row_value_bytes(const GaRowColumn *column, Datum value)
{
	return column->length == -1 ? toast_raw_datum_size(value) - VARHDRSZ : 0;
}

void
ga_row_value_text(const GaRowColumn *column, Oid type, Datum value, const char **bytes,
                  Size *length)
{
	Oid output;
	bool is_varlena;

	if (column->kind == GA_ROW_TEXT || column->kind == GA_ROW_BYTEA)
	{
		struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);

		*bytes = VARDATA_ANY(plain);
		*length = VARSIZE_ANY_EXHDR(plain);
		return;
	}
	getTypeOutputInfo(type, &output, &is_varlena);
	*bytes = OidOutputFunctionCall(output, value);
	*length = strlen(*bytes);
}

static void
add_other(GaJson *json, const GaRowColumn *column, Datum value)
{
	Datum made = FunctionCall1(unconstify(FmgrInfo *, &column->to_jsonb), value);

	ga_json_jsonb(json, column->name, DatumGetJsonbP(made));
}

void
ga_row_add(GaJson *json, const GaRowColumn *column, Datum value, bool isnull)
{
	if (isnull)
	{
		ga_json_null(json, column->name);
		return;
	}
	switch (column->kind)
	{
		case GA_ROW_BOOL:
			ga_json_bool(json, column->name, DatumGetBool(value));
			return;
		case GA_ROW_INT:
			ga_json_int8(json, column->name,
			             column->length == 2   ? DatumGetInt16(value)
			             : column->length == 4 ? DatumGetInt32(value)
			                                   : DatumGetInt64(value));
			return;
		case GA_ROW_NUMERIC:
			ga_json_numeric(json, column->name, DatumGetNumeric(value));
			return;
		case GA_ROW_TEXT:
		{
			text *plain = DatumGetTextPP(value);

			ga_json_text_n(json, column->name, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
			return;
		}
		case GA_ROW_TIME:
		{
			char shown[MAXDATELEN + 1];

			JsonEncodeDateTime(shown, value, column->base_type, NULL);
			ga_json_text(json, column->name, shown);
			return;
		}
		case GA_ROW_JSONB:
			ga_json_jsonb(json, column->name, DatumGetJsonbP(value));
			return;
		case GA_ROW_BYTEA:
		case GA_ROW_OTHER:
			add_other(json, column, value);
			return;
	}
}

Jsonb *
ga_row_json(const TriggerData *trigger, HeapTuple tuple)
{
	const GaRowShape *shape = ga_row_shape(trigger);
	Datum *values = palloc(sizeof(Datum) * Max(shape->natts, 1));
	bool *nulls = palloc(sizeof(bool) * Max(shape->natts, 1));
	GaJson json;
	int i;

	heap_deform_tuple(tuple, RelationGetDescr(trigger->tg_relation), values, nulls);
	ga_json_begin_object(&json);
	for (i = 0; i < shape->n; i++)
	{
		const GaRowColumn *column = &shape->columns[i];

		ga_row_add(&json, column, values[column->index], nulls[column->index]);
	}
	return ga_json_end(&json);
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
	                         false);
}

int
ga_row_settings_begin(const GaRowShape *shape)
{
	int level;

	if (shape->plain || (DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
	                     extra_float_digits >= 1 && bytea_output == BYTEA_OUTPUT_HEX))
		return 0;
	level = NewGUCNestLevel();
	set("datestyle", "ISO, YMD");
	set("intervalstyle", "postgres");
	set("extra_float_digits", "1");
	set("bytea_output", "hex");
	return level;
}

void
ga_row_settings_end(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}
