/* SPDX-License-Identifier: PostgreSQL */
/*
 * schema_program.h: the compiled form of a schema, which schema_compile.c writes and schema_run.c
 * reads, and jsonb values as both walk them: in place, without copies.
 *
 * A program is one array of instructions. A (sub)schema is a block: a run of instructions, cheap
 * ones first, those that need the annotations of others last. Operands index the pools.
 */
#ifndef GA_SCHEMA_PROGRAM_H
#define GA_SCHEMA_PROGRAM_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "schema.h"
#include "schema_regex.h"

typedef enum ValueType
{
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_NUMBER,
	VALUE_STRING,
	VALUE_ARRAY,
	VALUE_OBJECT
} ValueType;

/* A value inside a jsonb. */
typedef struct Value
{
	uint8 type;
	bool truth;     /* bool */
	uint32 length;  /* string: bytes; array, object: elements, members */
	const char *at; /* string: bytes; number: a Numeric; array, object: a JsonbContainer */
} Value;

/* A walk over the children of a container; of an object: two, over names and values. */
typedef struct Walk
{
	const JEntry *entry;
	const char *base;
	uint32 offset;
} Walk;

static inline Numeric
value_numeric(const Value *value)
{
	return (Numeric) unconstify(char *, value->at);
}

static inline void
value_fill(Value *value, JEntry entry, const char *base, uint32 start, uint32 end)
{
	value->truth = JBE_ISBOOL_TRUE(entry);
	value->length = end - start;
	value->at = base + start;
	if (JBE_ISSTRING(entry))
		value->type = VALUE_STRING;
	else if (JBE_ISNUMERIC(entry))
	{
		value->type = VALUE_NUMBER;
		value->at = base + INTALIGN(start);
	}
	else if (JBE_ISBOOL(entry))
		value->type = VALUE_BOOL;
	else if (JBE_ISNULL(entry))
		value->type = VALUE_NULL;
	else
	{
		const JsonbContainer *container = (const JsonbContainer *) (base + INTALIGN(start));

		value->type = JsonContainerIsObject(container) ? VALUE_OBJECT : VALUE_ARRAY;
		value->length = JsonContainerSize(container);
		value->at = (const char *) container;
	}
}

static inline void
walk_next(Walk *walk, Value *value)
{
	JEntry entry = *walk->entry++;
	uint32 start = walk->offset;

	if (JBE_HAS_OFF(entry))
		walk->offset = JBE_OFFLENFLD(entry);
	else
		walk->offset += JBE_OFFLENFLD(entry);
	value_fill(value, entry, walk->base, start, walk->offset);
}

static inline Walk
walk_array(const Value *array)
{
	const JsonbContainer *container = (const JsonbContainer *) array->at;

	return (Walk){container->children, (const char *) &container->children[array->length], 0};
}

static inline Walk
walk_names(const Value *object)
{
	const JsonbContainer *container = (const JsonbContainer *) object->at;

	return (Walk){container->children, (const char *) &container->children[2 * object->length], 0};
}

static inline Walk
walk_values(const Value *object)
{
	const JsonbContainer *container = (const JsonbContainer *) object->at;

	return (Walk){container->children + object->length,
	              (const char *) &container->children[2 * object->length],
	              getJsonbOffset(container, (int) object->length)};
}

/* The order of names in jsonb: by length, then by bytes. */
static inline int
name_compare(const char *a, uint32 a_bytes, const char *b, uint32 b_bytes)
{
	if (a_bytes != b_bytes)
		return a_bytes < b_bytes ? -1 : 1;
	return memcmp(a, b, a_bytes);
}

extern void ga_value_of_jsonb(Value *value, const Jsonb *jsonb);
/* Child number n of an array, or the value of member n of an object. */
extern void ga_value_child(const Value *container, uint32 n, Value *child);
extern void ga_value_name(const Value *object, uint32 n, Value *name);
/* The number of the member, or -1. */
extern int ga_value_find(const Value *object, const char *name, uint32 bytes, Value *child);
extern bool ga_value_equal(const Value *a, const Value *b);
/* A total order in which equal values are neighbours (1 = 1.0). */
extern int ga_value_compare(const Value *a, const Value *b);
extern bool ga_value_is_integer(const Value *number);

#define TYPE_BIT(value_type) (1u << (value_type))
#define TYPE_INTEGER (1u << 6)

typedef enum Op
{
	OP_FALSE,   /* */
	OP_TYPE,    /* a: mask of TYPE_BIT */
	OP_CONST,   /* a: value */
	OP_ENUM,    /* a: enum */
	OP_MINIMUM, /* a: numeric; so the next four */
	OP_MAXIMUM,
	OP_ABOVE,
	OP_BELOW,
	OP_MULTIPLE,
	OP_MIN_LENGTH, /* a: number; so the next one */
	OP_MAX_LENGTH,
	OP_PATTERN,   /* a: regex */
	OP_FORMAT,    /* a: format, or GA_FORMAT_REGEX */
	OP_CONTEXT,   /* a: GaContext */
	OP_MIN_ITEMS, /* a: number; so the next three */
	OP_MAX_ITEMS,
	OP_MIN_PROPERTIES,
	OP_MAX_PROPERTIES,
	OP_UNIQUE, /* */
	OP_OBJECT, /* a: object plan: properties, patternProperties, additionalProperties, required */
	OP_NAMES,  /* a: block */
	OP_DEPENDENT_REQUIRED, /* a: dependent; so the next two */
	OP_DEPENDENT_SCHEMAS,
	OP_DEPENDENCIES,
	OP_ITEMS,    /* a: first of b blocks for the first items, c: block for the rest or NONE */
	OP_CONTAINS, /* a: block, b: least, c: most; NONE: no upper bound */
	OP_CONTAINS_UNSEEN, /* the same, but the items it finds are not evaluated by it */
	OP_REF,             /* a: block */
	OP_DYNAMIC_REF,     /* a: block where nothing overrides it, b: name of the dynamic anchor */
	OP_ALL_OF,          /* a: first of b blocks; so the next two */
	OP_ANY_OF,
	OP_ONE_OF,
	OP_NOT,               /* a: block */
	OP_IF,                /* a, b, c: blocks of if, then, else; b, c may be NONE */
	OP_UNEVALUATED_ITEMS, /* a: block; so the next one */
	OP_UNEVALUATED_PROPERTIES
} Op;

#define NONE UINT32_MAX
#define GA_FORMAT_REGEX (NONE - 1) /* needs the compiler of patterns */

typedef struct Instruction
{
	uint32 op;
	uint32 a;
	uint32 b;
	uint32 c;
	const char *where; /* the keyword's place in the schema: a JSON Pointer, or URI#pointer */
} Instruction;

typedef struct CodeBlock
{
	uint32 first;
	uint32 count;
	uint32 resource;
	bool unevaluated; /* it has an instruction that reads annotations */
} CodeBlock;

typedef struct Property
{
	const char *name;
	uint32 bytes;
	uint32 block; /* NONE: only required */
	bool required;
} Property;

typedef struct PatternProperty
{
	GaRegex *regex;
	uint32 block;
} PatternProperty;

typedef struct ObjectPlan
{
	uint32 nproperties; /* in the order of jsonb */
	uint32 nrequired;
	uint32 npatterns;
	uint32 additional; /* block or NONE */
	Property *properties;
	PatternProperty *patterns;
	const char *required_where;
} ObjectPlan;

typedef struct Dependent
{
	const char *name;
	uint32 bytes;
	uint32 block; /* NONE where names are required */
	uint32 nrequired;
	Property *required;
} Dependent;

typedef struct Enumeration
{
	uint32 nstrings; /* in name order, before the others */
	uint32 count;
	Value *values;
} Enumeration;

typedef struct DynamicAnchor
{
	const char *name;
	uint32 resource;
	uint32 block;
} DynamicAnchor;

struct GaSchema
{
	MemoryContext context;
	Instruction *code;
	CodeBlock *blocks;
	uint32 *lists; /* of blocks */
	Numeric *numerics;
	Value *values;
	Enumeration *enums;
	ObjectPlan *objects;
	Dependent *dependents;
	GaRegex **regexes;
	DynamicAnchor *dynamic;
	uint32 ndynamic;
	uint32 root;
};

extern const char *ga_schema_keyword(const Instruction *instruction);

#endif /* GA_SCHEMA_PROGRAM_H */
