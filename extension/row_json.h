/* SPDX-License-Identifier: PostgreSQL */
/*
 * A table's row as JSON, for triggers of ours: which columns it has, which of them are the key,
 * whether two values are the same, and one value as a member of an object.
 *
 * Values are rendered as to_jsonb() does, which may run code that the owner of a type wrote: call
 * this with the rights of whoever changes the row, never inside ga_enter, but for our own tables.
 */
#ifndef ROW_JSON_H
#define ROW_JSON_H

#include "postgres.h"

#include "commands/trigger.h"

#include "goldenarch/jsonbuild.h"

typedef enum GaRowKind
{
	GA_ROW_BOOL,
	GA_ROW_INT,
	GA_ROW_NUMERIC,
	GA_ROW_TEXT, /* text, varchar, char(n) */
	GA_ROW_BYTEA,
	GA_ROW_TIME, /* date, timestamp with and without time zone */
	GA_ROW_JSONB,
	GA_ROW_OTHER
} GaRowKind;

typedef struct GaRowColumn
{
	int index; /* in the table's row type, from 0 */
	const char *name;
	GaRowKind kind;
	Oid base_type; /* of a domain: what it is made of */
	int16 length;
	bool by_value;
	bool key;
	bool withheld;     /* named in the trigger's arguments: changes are told, values are not */
	FmgrInfo to_jsonb; /* of kind GA_ROW_OTHER */
} GaRowColumn;

typedef struct GaRowShape
{
	int natts;  /* of the row type, dropped columns too */
	int n;      /* columns */
	int nkeys;  /* of them in the key: the primary key, else the replica identity; 0: none */
	bool plain; /* no column's text hangs on a setting of the session */
	Oid root;   /* the table that the trigger was made for: a partition has a copy */
	GaRowColumn *columns;
} GaRowShape;

/* Schema-qualified, quoted where it must be; 42P01 where it is gone. */
extern char *ga_table_name(Oid relation);

/* The primary key, else the replica identity; as RelationGetIndexAttrBitmap() gives it. */
extern Bitmapset *ga_key_columns(Relation relation);

/* Of the table that the trigger fires on. Cached; valid to the end of the transaction. */
extern const GaRowShape *ga_row_shape(const TriggerData *trigger);

extern bool ga_row_same(const GaRowColumn *column, Datum a, bool a_null, Datum b, bool b_null);

/* Bytes of the value as it lies in the row, decompressed; 0 for what has a fixed length. */
extern Size ga_row_value_bytes(const GaRowColumn *column, Datum value);

/* The bytes of a value that is too long to be shown: of its text, or of bytea as it is. */
extern void ga_row_value_text(const GaRowColumn *column, Oid type, Datum value, const char **bytes,
                              Size *length);

/* A member named after the column. */
extern void ga_row_add(GaJson *json, const GaRowColumn *column, Datum value, bool isnull);

/* The whole row. */
extern Jsonb *ga_row_json(const TriggerData *trigger, HeapTuple tuple);

/*
 * Between these two, text that hangs on a setting (intervals, floats, bytea) is the same in every
 * session.
 */
extern int ga_row_settings_begin(const GaRowShape *shape);
extern void ga_row_settings_end(int level);

#endif
