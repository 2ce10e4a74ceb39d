/* SPDX-License-Identifier: PostgreSQL */
/*
 * jsonb values in place: finding, comparing. Equality is JSON Schema's: numbers by value (1 = 1.0),
 * strings by bytes, objects without order. Nothing is allocated but by numeric comparison of values
 * that are not plain.
 */
#include "schema_program.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

void
ga_value_of_jsonb(Value *value, const Jsonb *jsonb)
{
	const JsonbContainer *root = &jsonb->root;

	if (JsonContainerIsScalar(root))
	{
		Walk walk = {root->children, (const char *) &root->children[1], 0};

		walk_next(&walk, value);
		return;
	}
	value->type = JsonContainerIsObject(root) ? VALUE_OBJECT : VALUE_ARRAY;
	value->truth = false;
	value->length = JsonContainerSize(root);
	value->at = (const char *) root;
}

/* Entry number n of the container's table, whose data begin at base. */
static void
entry_value(const JsonbContainer *container, const char *base, uint32 n, Value *value)
{
	uint32 start = getJsonbOffset(container, (int) n);

	value_fill(value, container->children[n], base, start,
	           start + getJsonbLength(container, (int) n));
}

void
ga_value_child(const Value *parent, uint32 n, Value *child)
{
	const JsonbContainer *container = (const JsonbContainer *) parent->at;

	if (parent->type == VALUE_ARRAY)
		entry_value(container, (const char *) &container->children[parent->length], n, child);
	else
		entry_value(container, (const char *) &container->children[2 * parent->length],
		            parent->length + n, child);
}

void
ga_value_name(const Value *object, uint32 n, Value *name)
{
	const JsonbContainer *container = (const JsonbContainer *) object->at;

	entry_value(container, (const char *) &container->children[2 * object->length], n, name);
}

int
ga_value_find(const Value *object, const char *name, uint32 bytes, Value *child)
{
	uint32 low = 0;
	uint32 high = object->type == VALUE_OBJECT ? object->length : 0;

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;
		Value key;
		int order;

		ga_value_name(object, middle, &key);
		order = name_compare(name, bytes, key.at, key.length);
		if (order == 0)
		{
			if (child != NULL)
				ga_value_child(object, middle, child);
			return (int) middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

static int
compare_numbers(const Value *a, const Value *b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value_numeric(a)),
	                                         NumericGetDatum(value_numeric(b))));
}

static int
compare_objects(const Value *a, const Value *b)
{
	Walk a_names = walk_names(a);
	Walk b_names = walk_names(b);
	Walk a_values = walk_values(a);
	Walk b_values = walk_values(b);

	for (uint32 i = 0; i < a->length; i++)
	{
		Value left;
		Value right;
		int order;

		walk_next(&a_names, &left);
		walk_next(&b_names, &right);
		order = name_compare(left.at, left.length, right.at, right.length);
		if (order != 0)
			return order;
		walk_next(&a_values, &left);
		walk_next(&b_values, &right);
		order = ga_value_compare(&left, &right);
		if (order != 0)
			return order;
	}
	return 0;
}

int
ga_value_compare(const Value *a, const Value *b)
{
	Walk a_walk;
	Walk b_walk;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch ((ValueType) a->type)
	{
		case VALUE_NULL:
			return 0;
		case VALUE_BOOL:
			return (int) a->truth - (int) b->truth;
		case VALUE_NUMBER:
			return compare_numbers(a, b);
		case VALUE_STRING:
			return name_compare(a->at, a->length, b->at, b->length);
		case VALUE_ARRAY:
		case VALUE_OBJECT:
			break;
	}
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	if (a->type == VALUE_OBJECT)
		return compare_objects(a, b);
	a_walk = walk_array(a);
	b_walk = walk_array(b);
	for (uint32 i = 0; i < a->length; i++)
	{
		Value left;
		Value right;
		int order;

		walk_next(&a_walk, &left);
		walk_next(&b_walk, &right);
		order = ga_value_compare(&left, &right);
		if (order != 0)
			return order;
	}
	return 0;
}

bool
ga_value_equal(const Value *a, const Value *b)
{
	return a->type == b->type && ga_value_compare(a, b) == 0;
}

bool
ga_value_is_integer(const Value *number)
{
	return DatumGetInt32(
	           DirectFunctionCall1(numeric_min_scale, NumericGetDatum(value_numeric(number)))) == 0;
}
