/* SPDX-License-Identifier: PostgreSQL */
/*
 * The instructions that look at one value alone, and the telling of failures: paths, keywords,
 * messages. A message tells what the schema wants, never what the value was.
 */
#include "schema_run.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "format.h"
#include "limits.h"

/* False where the path became too long: then the value around it has to do. */
static bool
append_path(StringInfo out, const Path *path)
{
	if (path == NULL)
		return true;
	if (!append_path(out, path->up) || out->len + path->bytes > GA_SCHEMA_PATH_MAX_BYTES)
		return false;
	appendStringInfoChar(out, '/');
	if (path->name == NULL)
	{
		appendStringInfo(out, "%u", path->index);
		return true;
	}
	for (uint32 i = 0; i < path->bytes; i++)
	{
		if (path->name[i] == '~' || path->name[i] == '/')
			appendStringInfoString(out, path->name[i] == '~' ? "~0" : "~1");
		else
			appendStringInfoChar(out, path->name[i]);
	}
	return true;
}

const char *
ga_run_shown(const char *name, uint32 bytes)
{
	return pnstrdup(name, (Size) pg_mbcliplen(name, (int) bytes, GA_SCHEMA_NAME_SHOWN_BYTES));
}

void
ga_run_tell(Run *run, const Path *path, const char *where, const char *keyword, const char *message)
{
	MemoryContext before;
	StringInfoData instance;

	if (run->errors->count >= GA_SCHEMA_ERRORS_MAX)
	{
		run->errors->capped = true;
		return;
	}
	before = MemoryContextSwitchTo(run->results);
	initStringInfo(&instance);
	append_path(&instance, path);
	if (run->errors->items == NULL)
		run->errors->items = palloc(sizeof(GaSchemaError) * GA_SCHEMA_ERRORS_MAX);
	run->errors->items[run->errors->count++] =
	    (GaSchemaError){instance.data, pstrdup(where), keyword, pstrdup(message)};
	MemoryContextSwitchTo(before);
}

bool
ga_run_stop(Run *run, const char *why)
{
	if (run->stopped == NULL)
		run->stopped = why;
	return false;
}

const char *
ga_schema_keyword(const Instruction *instruction)
{
	static const char *const names[] = {
	    [OP_FALSE] = "false",
	    [OP_TYPE] = "type",
	    [OP_CONST] = "const",
	    [OP_ENUM] = "enum",
	    [OP_MINIMUM] = "minimum",
	    [OP_MAXIMUM] = "maximum",
	    [OP_ABOVE] = "exclusiveMinimum",
	    [OP_BELOW] = "exclusiveMaximum",
	    [OP_MULTIPLE] = "multipleOf",
	    [OP_MIN_LENGTH] = "minLength",
	    [OP_MAX_LENGTH] = "maxLength",
	    [OP_PATTERN] = "pattern",
	    [OP_FORMAT] = "format",
	    [OP_CONTEXT] = "x-goldenarch-context",
	    [OP_MIN_ITEMS] = "minItems",
	    [OP_MAX_ITEMS] = "maxItems",
	    [OP_MIN_PROPERTIES] = "minProperties",
	    [OP_MAX_PROPERTIES] = "maxProperties",
	    [OP_UNIQUE] = "uniqueItems",
	    [OP_OBJECT] = "properties",
	    [OP_NAMES] = "propertyNames",
	    [OP_DEPENDENT_REQUIRED] = "dependentRequired",
	    [OP_DEPENDENT_SCHEMAS] = "dependentSchemas",
	    [OP_DEPENDENCIES] = "dependencies",
	    [OP_ITEMS] = "items",
	    [OP_CONTAINS] = "contains",
	    [OP_CONTAINS_UNSEEN] = "contains",
	    [OP_REF] = "$ref",
	    [OP_DYNAMIC_REF] = "$dynamicRef",
	    [OP_ALL_OF] = "allOf",
	    [OP_ANY_OF] = "anyOf",
	    [OP_ONE_OF] = "oneOf",
	    [OP_NOT] = "not",
	    [OP_IF] = "if",
	    [OP_UNEVALUATED_ITEMS] = "unevaluatedItems",
	    [OP_UNEVALUATED_PROPERTIES] = "unevaluatedProperties",
	};
	static const char *const refusing[] = {"additionalProperties", "unevaluatedProperties",
	                                       "unevaluatedItems", "items"};
	const char *slash;

	if (instruction->op != OP_FALSE)
		return names[instruction->op];
	slash = strrchr(instruction->where, '/');
	for (Size i = 0; slash != NULL && i < lengthof(refusing); i++)
	{
		if (strcmp(slash + 1, refusing[i]) == 0)
			return refusing[i];
	}
	return "false";
}

static bool
run_type(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	static const char *const names[] = {"null",  "boolean", "number", "string",
	                                    "array", "object",  "integer"};
	StringInfoData list;

	if (ins->a & TYPE_BIT(value->type))
		return true;
	if (value->type == VALUE_NUMBER && (ins->a & TYPE_INTEGER) && ga_value_is_integer(value))
		return true;
	if (run->errors == NULL || run->errors->count >= GA_SCHEMA_ERRORS_MAX)
		FAIL(run, ins, path, "must be of another type");
	initStringInfo(&list);
	for (uint32 i = 0; i < lengthof(names); i++)
	{
		if (ins->a & (1u << i))
			appendStringInfo(&list, "%s%s", list.len > 0 ? " or " : "", names[i]);
	}
	FAIL(run, ins, path, "must be %s, is %s", list.data, names[value->type]);
}

static bool
run_enum(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	const Enumeration *set = &run->program->enums[ins->a];
	uint32 low = value->type == VALUE_STRING ? 0 : set->nstrings;
	uint32 high = value->type == VALUE_STRING ? set->nstrings : set->count;

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;
		int order = ga_value_compare(value, &set->values[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	FAIL(run, ins, path, "must be one of the listed values");
}

static bool
run_bound(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	Numeric bound = run->program->numerics[ins->a];
	Datum number = NumericGetDatum(value_numeric(value));
	static const char *const texts[] = {"at least", "at most", "above", "below"};
	int order;
	bool ok;

	if (ins->op == OP_MULTIPLE)
	{
		Datum rest = DirectFunctionCall2(numeric_mod, number, NumericGetDatum(bound));
		Datum zero = DirectFunctionCall1(int8_numeric, Int64GetDatum(0));
		bool multiple = DatumGetInt32(DirectFunctionCall2(numeric_cmp, rest, zero)) == 0;

		pfree(DatumGetPointer(rest));
		pfree(DatumGetPointer(zero));
		if (!multiple)
			FAIL(run, ins, path, "must be a multiple of %s", numeric_normalize(bound));
		return true;
	}
	order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, number, NumericGetDatum(bound)));
	if (ins->op == OP_MINIMUM || ins->op == OP_ABOVE)
		ok = order > 0 || (order == 0 && ins->op == OP_MINIMUM);
	else
		ok = order < 0 || (order == 0 && ins->op == OP_MAXIMUM);
	if (!ok)
		FAIL(run, ins, path, "must be %s %s", texts[ins->op - OP_MINIMUM],
		     numeric_normalize(bound));
	return true;
}

static bool
run_length(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	uint32 length;

	/* a code point has one to four bytes: most strings need no counting */
	if (ins->op == OP_MAX_LENGTH && value->length <= ins->a)
		return true;
	if (ins->op == OP_MIN_LENGTH && value->length < ins->a)
		length = value->length;
	else
		length = (uint32) pg_mbstrlen_with_len(value->at, (int) value->length);
	if (ins->op == OP_MIN_LENGTH && length < ins->a)
		FAIL(run, ins, path, "must have at least %u characters", ins->a);
	if (ins->op == OP_MAX_LENGTH && length > ins->a)
		FAIL(run, ins, path, "must have at most %u characters", ins->a);
	return true;
}

static bool
run_pattern(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	switch (ga_regex_match(run->program->regexes[ins->a], value->at, value->length))
	{
		case GA_MATCH_YES:
			return true;
		case GA_MATCH_UNDECIDED:
			return ga_run_stop(run, "a pattern could not be decided within its limits");
		case GA_MATCH_NO:
			break;
	}
	FAIL(run, ins, path, "must match the pattern");
}

static bool
run_count(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	bool least = ins->op == OP_MIN_ITEMS || ins->op == OP_MIN_PROPERTIES;

	if (least ? value->length >= ins->a : value->length <= ins->a)
		return true;
	FAIL(run, ins, path, "must have at %s %u %s", least ? "least" : "most", ins->a,
	     value->type == VALUE_ARRAY ? "items" : "properties");
}

static int
value_order(const void *a, const void *b)
{
	return ga_value_compare(a, b);
}

static bool
run_unique(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	Value *items;
	Walk walk = walk_array(value);
	bool ok = true;

	if (value->length < 2)
		return true;
	items = palloc_extended(sizeof(Value) * value->length, MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < value->length; i++)
		walk_next(&walk, &items[i]);
	qsort(items, value->length, sizeof(Value), value_order);
	for (uint32 i = 1; ok && i < value->length; i++)
		ok = ga_value_compare(&items[i - 1], &items[i]) != 0;
	pfree(items);
	if (!ok)
		FAIL(run, ins, path, "must have no two equal items");
	return true;
}

static bool
run_format(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	if (ins->a == GA_FORMAT_REGEX)
	{
		if (!ga_regex_is_pattern(value->at, value->length))
			FAIL(run, ins, path, "must be of format regex");
	}
	else if (!ga_format_ok((int) ins->a, value->at, value->length))
		FAIL(run, ins, path, "must be of format %s", ga_format_name((int) ins->a));
	return true;
}

bool
ga_run_scalar(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	switch ((Op) ins->op)
	{
		case OP_TYPE:
			return run_type(run, ins, value, path);
		case OP_CONST:
			if (!ga_value_equal(value, &run->program->values[ins->a]))
				FAIL(run, ins, path, "must be the constant");
			return true;
		case OP_ENUM:
			return run_enum(run, ins, value, path);
		case OP_MINIMUM:
		case OP_MAXIMUM:
		case OP_ABOVE:
		case OP_BELOW:
		case OP_MULTIPLE:
			return value->type != VALUE_NUMBER || run_bound(run, ins, value, path);
		case OP_MIN_LENGTH:
		case OP_MAX_LENGTH:
			return value->type != VALUE_STRING || run_length(run, ins, value, path);
		case OP_PATTERN:
			return value->type != VALUE_STRING || run_pattern(run, ins, value, path);
		case OP_FORMAT:
			return value->type != VALUE_STRING || run_format(run, ins, value, path);
		case OP_MIN_ITEMS:
		case OP_MAX_ITEMS:
			return value->type != VALUE_ARRAY || run_count(run, ins, value, path);
		case OP_MIN_PROPERTIES:
		case OP_MAX_PROPERTIES:
			return value->type != VALUE_OBJECT || run_count(run, ins, value, path);
		case OP_UNIQUE:
			return value->type != VALUE_ARRAY || run_unique(run, ins, value, path);
		default:
			FAIL(run, ins, path, "nothing is allowed here");
	}
}
