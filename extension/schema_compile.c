/* SPDX-License-Identifier: PostgreSQL */
/*
 * From a JSON Schema to a program: every keyword is checked for its form and turned into
 * instructions, or the schema is refused. A keyword of JSON Schema that is not supported yet is a
 * fault of its own kind, never an annotation; names that JSON Schema does not know are annotations.
 * The program is allocated in one context, so that a fault or an ERROR leaves nothing behind that
 * dropping the context would not free.
 */
#include "schema_compiler.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "format.h"
#include "limits.h"

typedef struct Known
{
	const void *container;
	uint32 block;
} Known;

typedef void (*Compile)(Frame *frame, uint32 op, const Value *value, const char *where);

static uint32 compile_schema(Compiler *c, const Value *node, uint32 resource, const char *where);

void
ga_frame_emit(Frame *frame, uint32 op, uint32 a, uint32 b, uint32 rest, const char *where)
{
	Instruction *instruction = ga_pool_add(&frame->code);

	*instruction = (Instruction){.op = op, .a = a, .b = b, .c = rest, .where = where};
}

void
ga_frame_refuse(Frame *frame, const char *where, const char *message)
{
	ga_compiler_fail(frame->c, where, false, message);
}

bool
ga_frame_want(Frame *frame, const Value *value, ValueType type, const char *where,
              const char *message)
{
	if (value->type == type)
		return true;
	ga_frame_refuse(frame, where, message);
	return false;
}

static uint32
add_value(Compiler *c, const Value *value)
{
	*(Value *) ga_pool_add(&c->values) = *value;
	return c->values.count - 1;
}

/* A number >= 0 without fraction; what is beyond 32 bits is as good as the greatest. */
bool
ga_frame_count(Frame *frame, const Value *value, const char *where, uint32 *count)
{
	Datum number = NumericGetDatum(value_numeric(value));
	Datum most = DirectFunctionCall1(int8_numeric, Int64GetDatum(NONE - 1));

	if (value->type != VALUE_NUMBER || !ga_value_is_integer(value) ||
	    DatumGetInt32(DirectFunctionCall2(numeric_cmp, number,
	                                      DirectFunctionCall1(int8_numeric, Int64GetDatum(0)))) < 0)
	{
		ga_frame_refuse(frame, where, "a whole number that is not negative is needed");
		return false;
	}
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, most)) > 0)
		*count = NONE - 1;
	else
		*count = (uint32) DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
	return true;
}

static uint32
type_bit(const Value *name)
{
	static const struct
	{
		const char *name;
		uint32 bit;
	} types[] = {{"null", TYPE_BIT(VALUE_NULL)},     {"boolean", TYPE_BIT(VALUE_BOOL)},
	             {"number", TYPE_BIT(VALUE_NUMBER)}, {"string", TYPE_BIT(VALUE_STRING)},
	             {"array", TYPE_BIT(VALUE_ARRAY)},   {"object", TYPE_BIT(VALUE_OBJECT)},
	             {"integer", TYPE_INTEGER}};

	for (Size i = 0; name->type == VALUE_STRING && i < lengthof(types); i++)
	{
		if (name->length == strlen(types[i].name) &&
		    memcmp(name->at, types[i].name, name->length) == 0)
			return types[i].bit;
	}
	return 0;
}

static void
compile_type(Frame *frame, uint32 op, const Value *value, const char *where)
{
	uint32 mask = type_bit(value);

	for (uint32 i = 0; value->type == VALUE_ARRAY && i < value->length; i++)
	{
		Value name;
		uint32 bit;

		ga_value_child(value, i, &name);
		bit = type_bit(&name);
		if (bit == 0 || (mask & bit) != 0)
		{
			mask = 0;
			break;
		}
		mask |= bit;
	}
	if (mask == 0)
		ga_frame_refuse(frame, where, "type must be a type's name or a list of different ones");
	ga_frame_emit(frame, op, mask, 0, 0, where);
}

static void
compile_const(Frame *frame, uint32 op, const Value *value, const char *where)
{
	ga_frame_emit(frame, op, add_value(frame->c, value), 0, 0, where);
}

static int
enum_order(const void *a, const void *b)
{
	const Value *left = a;
	const Value *right = b;

	if ((left->type == VALUE_STRING) != (right->type == VALUE_STRING))
		return left->type == VALUE_STRING ? -1 : 1;
	return ga_value_compare(left, right);
}

static void
compile_enum(Frame *frame, uint32 op, const Value *value, const char *where)
{
	Enumeration *set;
	Walk walk;

	if (!ga_frame_want(frame, value, VALUE_ARRAY, where, "enum must be an array"))
		return;
	ga_frame_emit(frame, op, frame->c->enums.count, 0, 0, where);
	set = ga_pool_add(&frame->c->enums);
	set->count = value->length;
	set->values = palloc_extended(sizeof(Value) * (value->length + 1), MCXT_ALLOC_HUGE);
	walk = walk_array(value);
	for (uint32 i = 0; i < value->length; i++)
	{
		walk_next(&walk, &set->values[i]);
		if (set->values[i].type == VALUE_STRING)
			set->nstrings++;
	}
	qsort(set->values, set->count, sizeof(Value), enum_order);
}

static void
compile_bound(Frame *frame, uint32 op, const Value *value, const char *where)
{
	Numeric number;

	if (!ga_frame_want(frame, value, VALUE_NUMBER, where, "a number is needed"))
		return;
	number = value_numeric(value);
	if (op == OP_MULTIPLE)
	{
		Datum zero = DirectFunctionCall1(int8_numeric, Int64GetDatum(0));

		if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(number), zero)) <= 0)
			ga_frame_refuse(frame, where, "multipleOf must be above zero");
		else if (strlen(numeric_normalize(number)) > GA_JSON_DIGITS_MAX)
			ga_frame_refuse(frame, where, "multipleOf has too many digits");
	}
	*(Numeric *) ga_pool_add(&frame->c->numerics) = number;
	ga_frame_emit(frame, op, frame->c->numerics.count - 1, 0, 0, where);
}

static void
compile_count(Frame *frame, uint32 op, const Value *value, const char *where)
{
	uint32 count;

	if (ga_frame_count(frame, value, where, &count))
		ga_frame_emit(frame, op, count, 0, 0, where);
}

GaRegex *
ga_frame_regex(Frame *frame, const Value *pattern, const char *where)
{
	const char *fault;
	GaRegex *regex = ga_regex_compile(frame->c->context, pattern->at, pattern->length, &fault);

	if (regex == NULL)
		ga_frame_refuse(frame, where, psprintf("not a regular expression: %s", fault));
	return regex;
}

static void
compile_pattern(Frame *frame, uint32 op, const Value *value, const char *where)
{
	if (!ga_frame_want(frame, value, VALUE_STRING, where, "pattern must be a string"))
		return;
	*(GaRegex **) ga_pool_add(&frame->c->regexes) = ga_frame_regex(frame, value, where);
	ga_frame_emit(frame, op, frame->c->regexes.count - 1, 0, 0, where);
}

static void
compile_unique(Frame *frame, uint32 op, const Value *value, const char *where)
{
	if (ga_frame_want(frame, value, VALUE_BOOL, where, "uniqueItems must be true or false") &&
	    value->truth)
		ga_frame_emit(frame, op, 0, 0, 0, where);
}

uint32
ga_frame_schema(Frame *frame, const Value *value, const char *where)
{
	return compile_schema(frame->c, value, frame->resource, where);
}

static void
compile_one(Frame *frame, uint32 op, const Value *value, const char *where)
{
	ga_frame_emit(frame, op, ga_frame_schema(frame, value, where), 0, 0, where);
}

/* Blocks of a list of schemas, side by side in the pool of lists; the first one's number. */
uint32
ga_frame_schemas(Frame *frame, const Value *list, const char *where)
{
	uint32 *blocks = palloc(sizeof(uint32) * (list->length + 1));
	uint32 first;

	for (uint32 i = 0; i < list->length; i++)
	{
		Value child;

		ga_value_child(list, i, &child);
		blocks[i] = ga_frame_schema(frame, &child, ga_compiler_below_n(where, i));
	}
	first = frame->c->lists.count;
	for (uint32 i = 0; i < list->length; i++)
		*(uint32 *) ga_pool_add(&frame->c->lists) = blocks[i];
	return first;
}

bool
ga_frame_want_list(Frame *frame, const Value *value, const char *where)
{
	if (!ga_frame_want(frame, value, VALUE_ARRAY, where, "an array of schemas is needed"))
		return false;
	if (value->length == 0)
		ga_frame_refuse(frame, where, "an array of schemas must not be empty");
	return value->length > 0;
}

static void
compile_list(Frame *frame, uint32 op, const Value *value, const char *where)
{
	if (ga_frame_want_list(frame, value, where))
		ga_frame_emit(frame, op, ga_frame_schemas(frame, value, where), value->length, 0, where);
}

/* $defs: nothing to do at run time, but every schema in it must be right. */
static void
compile_definitions(Frame *frame, uint32 op, const Value *value, const char *where)
{
	(void) op;
	if (!ga_frame_want(frame, value, VALUE_OBJECT, where, "an object of schemas is needed"))
		return;
	for (uint32 i = 0; i < value->length && !ga_compiler_failed(frame->c); i++)
	{
		Value name;
		Value child;

		ga_value_name(value, i, &name);
		ga_value_child(value, i, &child);
		ga_frame_schema(frame, &child, ga_compiler_below(where, name.at, name.length));
	}
}

/* The names of required or of one dependency, in the order of jsonb, without repetition. */
Property *
ga_frame_names(Frame *frame, const Value *list, const char *where, uint32 *count)
{
	Property *names;
	Walk walk;

	*count = 0;
	if (!ga_frame_want(frame, list, VALUE_ARRAY, where, "an array of names is needed"))
		return NULL;
	names = palloc0(sizeof(Property) * (list->length + 1));
	walk = walk_array(list);
	for (uint32 i = 0; i < list->length; i++)
	{
		Value name;

		walk_next(&walk, &name);
		if (!ga_frame_want(frame, &name, VALUE_STRING, where, "an array of names is needed"))
			return NULL;
		names[i] = (Property){name.at, name.length, NONE, true};
	}
	*count = list->length;
	return names;
}

static void
add_dependent(Frame *frame, const Value *name, const Value *value, const char *where)
{
	Dependent *dependent;
	uint32 block = NONE;
	uint32 count = 0;
	Property *names = NULL;

	if (value->type == VALUE_ARRAY)
		names = ga_frame_names(frame, value, where, &count);
	else
		block = ga_frame_schema(frame, value, where);
	dependent = ga_pool_add(&frame->c->dependents);
	*dependent = (Dependent){name->at, name->length, block, count, names};
}

/* dependentRequired, dependentSchemas, and dependencies, which held both. */
static void
compile_dependent(Frame *frame, uint32 op, const Value *value, const char *where)
{
	bool required = op == OP_DEPENDENT_REQUIRED;
	bool schemas = op == OP_DEPENDENT_SCHEMAS;

	if (!ga_frame_want(frame, value, VALUE_OBJECT, where, "an object is needed"))
		return;
	for (uint32 i = 0; i < value->length && !ga_compiler_failed(frame->c); i++)
	{
		Value name;
		Value child;
		const char *below;

		ga_value_name(value, i, &name);
		ga_value_child(value, i, &child);
		below = ga_compiler_below(where, name.at, name.length);
		if ((required && child.type != VALUE_ARRAY) || (schemas && child.type == VALUE_ARRAY))
		{
			ga_frame_refuse(frame, below,
			                required ? "an array of names is needed" : "a schema is needed");
			return;
		}
		add_dependent(frame, &name, &child, below);
		ga_frame_emit(frame, op, frame->c->dependents.count - 1, 0, 0, below);
	}
}

static void
compile_reference(Frame *frame, uint32 op, const Value *value, const char *where)
{
	Target target;
	uint32 block;

	if (!ga_frame_want(frame, value, VALUE_STRING, where, "a reference must be a string"))
		return;
	ga_compiler_resolve(frame->c, frame->resource, ga_compiler_text(value), where, &target);
	if (ga_compiler_failed(frame->c))
		return;
	block = compile_schema(frame->c, &target.node, target.resource, target.where);
	if (op == OP_DYNAMIC_REF && target.dynamic_name != NULL)
	{
		Value name = {
		    .type = VALUE_STRING, .length = strlen(target.dynamic_name), .at = target.dynamic_name};

		ga_frame_emit(frame, OP_DYNAMIC_REF, block, add_value(frame->c, &name), 0, where);
	}
	else
		ga_frame_emit(frame, OP_REF, block, op == OP_DYNAMIC_REF, 0, where);
}

/*
 * $recursiveRef of 2019-09: always "#", overridden as a dynamic anchor at the resource's root
 * is.
 */
static void
compile_recursive(Frame *frame, uint32 op, const Value *value, const char *where)
{
	const char *dynamic;
	Target target;
	uint32 block;

	if (value->type != VALUE_STRING || value->length != 1 || value->at[0] != '#')
	{
		ga_frame_refuse(frame, where, "$recursiveRef must be \"#\"");
		return;
	}
	ga_compiler_resolve(frame->c, frame->resource, "#", where, &target);
	if (ga_compiler_failed(frame->c))
		return;
	block = compile_schema(frame->c, &target.node, target.resource, target.where);
	dynamic = ga_compiler_recursive(frame->c, target.resource);
	if (dynamic != NULL)
	{
		Value name = {.type = VALUE_STRING, .length = strlen(dynamic), .at = dynamic};

		ga_frame_emit(frame, op, block, add_value(frame->c, &name), 0, where);
	}
	else
		ga_frame_emit(frame, OP_REF, block, 0, 0, where);
}

static void
compile_text(Frame *frame, uint32 op, const Value *value, const char *where)
{
	(void) op;
	ga_frame_want(frame, value, VALUE_STRING, where, "a string is needed");
}

static void
compile_unsupported(Frame *frame, uint32 op, const Value *value, const char *where)
{
	(void) op;
	(void) value;
	ga_compiler_fail(frame->c, where, true, "this keyword is not supported");
}

/* Format is an annotation, as the drafts have it, unless the dialect asks for assertion. */
static void
compile_format(Frame *frame, uint32 op, const Value *value, const char *where)
{
	int format;

	if (!ga_frame_want(frame, value, VALUE_STRING, where, "format must be a string") ||
	    !(frame->vocabularies & VOCABULARY_FORMAT_ASSERTION))
		return;
	format = ga_format_find(value->at, value->length);
	if (format >= 0)
		ga_frame_emit(frame, op, (uint32) format, 0, 0, where);
	else if (value->length == 5 && memcmp(value->at, "regex", 5) == 0)
		ga_frame_emit(frame, op, GA_FORMAT_REGEX, 0, 0, where);
	else
		ga_compiler_fail(frame->c, where, true, "this format cannot be asserted");
}

/* Keywords that work alone. Those that work together are compiled by name further down. */
static const struct
{
	const char *name;
	uint32 vocabulary;
	uint32 dialects;
	Compile compile;
	uint32 op;
} keywords[] = {
    {"$ref", 0, ANY_DIALECT, compile_reference, OP_REF},
    {"$dynamicRef", 0, DIALECT_2020, compile_reference, OP_DYNAMIC_REF},
    {"$defs", 0, SINCE_2019, compile_definitions, 0},
    {"definitions", 0, ANY_DIALECT, compile_definitions, 0},
    {"$comment", 0, ANY_DIALECT, compile_text, 0},
    {"$recursiveRef", 0, DIALECT_2019, compile_recursive, OP_DYNAMIC_REF},
    {"$recursiveRef", 0, DIALECT_2020, compile_unsupported, 0},
    {"$recursiveAnchor", 0, DIALECT_2020, compile_unsupported, 0},
    {"x-goldenarch-context", 0, ANY_DIALECT, compile_unsupported, 0},
    {"format", 0, ANY_DIALECT, compile_format, OP_FORMAT},
    {"type", VOCABULARY_VALIDATION, ANY_DIALECT, compile_type, OP_TYPE},
    {"const", VOCABULARY_VALIDATION, ANY_DIALECT, compile_const, OP_CONST},
    {"enum", VOCABULARY_VALIDATION, ANY_DIALECT, compile_enum, OP_ENUM},
    {"minimum", VOCABULARY_VALIDATION, ANY_DIALECT, compile_bound, OP_MINIMUM},
    {"maximum", VOCABULARY_VALIDATION, ANY_DIALECT, compile_bound, OP_MAXIMUM},
    {"exclusiveMinimum", VOCABULARY_VALIDATION, ANY_DIALECT, compile_bound, OP_ABOVE},
    {"exclusiveMaximum", VOCABULARY_VALIDATION, ANY_DIALECT, compile_bound, OP_BELOW},
    {"multipleOf", VOCABULARY_VALIDATION, ANY_DIALECT, compile_bound, OP_MULTIPLE},
    {"minLength", VOCABULARY_VALIDATION, ANY_DIALECT, compile_count, OP_MIN_LENGTH},
    {"maxLength", VOCABULARY_VALIDATION, ANY_DIALECT, compile_count, OP_MAX_LENGTH},
    {"pattern", VOCABULARY_VALIDATION, ANY_DIALECT, compile_pattern, OP_PATTERN},
    {"minItems", VOCABULARY_VALIDATION, ANY_DIALECT, compile_count, OP_MIN_ITEMS},
    {"maxItems", VOCABULARY_VALIDATION, ANY_DIALECT, compile_count, OP_MAX_ITEMS},
    {"minProperties", VOCABULARY_VALIDATION, ANY_DIALECT, compile_count, OP_MIN_PROPERTIES},
    {"maxProperties", VOCABULARY_VALIDATION, ANY_DIALECT, compile_count, OP_MAX_PROPERTIES},
    {"uniqueItems", VOCABULARY_VALIDATION, ANY_DIALECT, compile_unique, OP_UNIQUE},
    {"dependentRequired", VOCABULARY_VALIDATION, SINCE_2019, compile_dependent,
     OP_DEPENDENT_REQUIRED},
    {"dependentSchemas", VOCABULARY_APPLICATOR, SINCE_2019, compile_dependent,
     OP_DEPENDENT_SCHEMAS},
    {"dependencies", VOCABULARY_APPLICATOR, ANY_DIALECT, compile_dependent, OP_DEPENDENCIES},
    {"propertyNames", VOCABULARY_APPLICATOR, ANY_DIALECT, compile_one, OP_NAMES},
    {"allOf", VOCABULARY_APPLICATOR, ANY_DIALECT, compile_list, OP_ALL_OF},
    {"anyOf", VOCABULARY_APPLICATOR, ANY_DIALECT, compile_list, OP_ANY_OF},
    {"oneOf", VOCABULARY_APPLICATOR, ANY_DIALECT, compile_list, OP_ONE_OF},
    {"not", VOCABULARY_APPLICATOR, ANY_DIALECT, compile_one, OP_NOT},
    {"unevaluatedItems", VOCABULARY_UNEVALUATED, SINCE_2019, compile_one, OP_UNEVALUATED_ITEMS},
    {"unevaluatedProperties", VOCABULARY_UNEVALUATED, SINCE_2019, compile_one,
     OP_UNEVALUATED_PROPERTIES},
};

bool
ga_frame_find(Frame *frame, const char *keyword, Value *value, const char **where)
{
	if (ga_value_find(frame->node, keyword, strlen(keyword), value) < 0)
		return false;
	*where = ga_compiler_below(frame->where, keyword, strlen(keyword));
	return true;
}

static int
instruction_order(const void *a, const void *b)
{
	const Instruction *left = a;
	const Instruction *right = b;

	if (left->op != right->op)
		return left->op < right->op ? -1 : 1;
	return strcmp(left->where, right->where);
}

static void
compile_keywords(Frame *frame)
{
	const char *where;
	Value value;

	/* in draft 7 nothing beside a $ref counts, but what other references may point at */
	if ((frame->vocabularies & DIALECT_7) && ga_frame_find(frame, "$ref", &value, &where))
	{
		compile_reference(frame, OP_REF, &value, where);
		if (ga_frame_find(frame, "definitions", &value, &where))
			compile_definitions(frame, 0, &value, where);
		return;
	}
	for (Size i = 0; i < lengthof(keywords) && !ga_compiler_failed(frame->c); i++)
	{

		if ((frame->vocabularies & keywords[i].dialects) &&
		    (keywords[i].vocabulary == 0 || (frame->vocabularies & keywords[i].vocabulary)) &&
		    ga_frame_find(frame, keywords[i].name, &value, &where))
			keywords[i].compile(frame, keywords[i].op, &value, where);
	}
	if (!ga_compiler_failed(frame->c))
		ga_compile_object(frame);
	if (!ga_compiler_failed(frame->c) && (frame->vocabularies & VOCABULARY_APPLICATOR))
	{
		ga_compile_items(frame);
		ga_compile_contains(frame);
		ga_compile_if(frame);
	}
}

/* Moves the frame's instructions into the program. */
static void
close_block(Frame *frame, uint32 block)
{
	Compiler *c = frame->c;
	CodeBlock *to = pool_item(&c->blocks, CodeBlock, block);

	if (frame->code.count > 1)
		qsort(frame->code.items, frame->code.count, sizeof(Instruction), instruction_order);
	to->first = c->code.count;
	to->count = frame->code.count;
	for (uint32 i = 0; i < frame->code.count; i++)
	{
		Instruction *from = pool_item(&frame->code, Instruction, i);

		if (from->op == OP_UNEVALUATED_ITEMS || from->op == OP_UNEVALUATED_PROPERTIES)
			to->unevaluated = true;
		*(Instruction *) ga_pool_add(&c->code) = *from;
	}
}

/* A new block, or the one that this container has already. */
static uint32
open_block(Compiler *c, const Value *node, uint32 resource, bool *known)
{
	const void *key = node->at;
	Known *entry;
	CodeBlock *block;

	*known = false;
	if (node->type == VALUE_OBJECT)
	{
		entry = hash_search(c->known, &key, HASH_ENTER, known);
		if (*known)
			return entry->block;
		entry->block = c->blocks.count;
	}
	block = ga_pool_add(&c->blocks);
	block->resource = resource;
	return c->blocks.count - 1;
}

static uint32
compile_schema(Compiler *c, const Value *node, uint32 resource, const char *where)
{
	Frame frame = {.c = c, .node = node, .code.item_bytes = sizeof(Instruction)};
	uint32 inner = ga_compiler_resource_at(c, node, resource);
	uint32 block;
	bool known;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (ga_compiler_failed(c))
		return 0;
	if (node->type != VALUE_OBJECT && node->type != VALUE_BOOL)
		ga_compiler_fail(c, where, false, "a schema must be an object, true or false");
	if (c->blocks.count >= GA_SCHEMA_BLOCKS_MAX ||
	    MemoryContextMemAllocated(c->context, false) > GA_SCHEMA_PROGRAM_MAX_BYTES)
		ga_compiler_fail(c, where, false, "the schema is too large");
	if (ga_compiler_failed(c))
		return 0;
	block = open_block(c, node, inner, &known);
	if (known)
		return block;
	frame.resource = inner;
	frame.where = inner != resource ? pool_item(&c->resources, Resource, inner)->prefix : where;
	frame.vocabularies = pool_item(&c->resources, Resource, inner)->vocabularies;
	if (node->type == VALUE_OBJECT)
		compile_keywords(&frame);
	else if (!node->truth)
		ga_frame_emit(&frame, OP_FALSE, 0, 0, 0, where);
	close_block(&frame, block);
	return block;
}

/* Whatever a dynamic reference may come to; compiling one may bring in more documents. */
static void
compile_dynamic(Compiler *c, GaSchema *program)
{
	Pool table = {.item_bytes = sizeof(DynamicAnchor)};

	for (uint32 i = 0; i < c->anchors.count && !ga_compiler_failed(c); i++)
	{
		Anchor anchor = *pool_item(&c->anchors, Anchor, i);
		uint32 block;

		if (!anchor.dynamic)
			continue;
		block = compile_schema(c, &anchor.node, anchor.resource, anchor.where);
		*(DynamicAnchor *) ga_pool_add(&table) =
		    (DynamicAnchor){anchor.name, anchor.resource, block};
	}
	program->dynamic = (DynamicAnchor *) table.items;
	program->ndynamic = table.count;
}

static void *
arena_block(void *context, size_t bytes)
{
	return MemoryContextAllocHuge(context, bytes);
}

static void
compiler_init(Compiler *c, MemoryContext context, MemoryContext work)
{
	HASHCTL control = {.keysize = sizeof(void *), .entrysize = sizeof(Known), .hcxt = work};

	c->context = context;
	ga_arena_init_growing(&c->arena, arena_block, work, 64 * 1024 * 1024);
	c->known =
	    hash_create("goldenarch schema", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	c->resources.item_bytes = sizeof(Resource);
	c->anchors.item_bytes = sizeof(Anchor);
	c->code.item_bytes = sizeof(Instruction);
	c->blocks.item_bytes = sizeof(CodeBlock);
	c->lists.item_bytes = sizeof(uint32);
	c->numerics.item_bytes = sizeof(Numeric);
	c->values.item_bytes = sizeof(Value);
	c->enums.item_bytes = sizeof(Enumeration);
	c->objects.item_bytes = sizeof(ObjectPlan);
	c->dependents.item_bytes = sizeof(Dependent);
	c->regexes.item_bytes = sizeof(GaRegex *);
}

GaSchema *
ga_schema_compile(MemoryContext context, const Jsonb *schema, const char *name,
                  GaSchemaLoader loader, void *loader_context, GaSchemaFault *fault)
{
	MemoryContext work =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch compile", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Compiler c = {.loader = loader, .loader_context = loader_context, .fault = fault};
	GaSchema *program = palloc0(sizeof(GaSchema));
	uint32 resource;
	Value root;

	memset(fault, 0, sizeof(*fault));
	compiler_init(&c, context, work);
	resource = ga_compiler_add_document(&c, schema, name, true);
	root = pool_item(&c.resources, Resource, resource)->root;
	program->root = compile_schema(&c, &root, resource, "");
	compile_dynamic(&c, program);
	program->context = context;
	program->code = (Instruction *) c.code.items;
	program->blocks = (CodeBlock *) c.blocks.items;
	program->lists = (uint32 *) c.lists.items;
	program->numerics = (Numeric *) c.numerics.items;
	program->values = (Value *) c.values.items;
	program->enums = (Enumeration *) c.enums.items;
	program->objects = (ObjectPlan *) c.objects.items;
	program->dependents = (Dependent *) c.dependents.items;
	program->regexes = (GaRegex **) c.regexes.items;
	MemoryContextSwitchTo(before);
	MemoryContextDelete(work);
	return fault->message == NULL ? program : NULL;
}
