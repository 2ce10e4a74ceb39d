/* SPDX-License-Identifier: PostgreSQL */
/*
 * The keywords that mean something only together: properties with patternProperties,
 * additionalProperties and required; prefixItems with items; contains with its counts; if, then,
 * else. Each group becomes one instruction.
 */
#include "schema_compiler.h"

static uint32
find_schema(Frame *frame, const char *keyword, const char **where)
{
	Value value;

	return ga_frame_find(frame, keyword, &value, where) ? ga_frame_schema(frame, &value, *where)
	                                                    : NONE;
}

/* prefixItems and items; before 2020-12 items (an array) and additionalItems. */
void
ga_compile_items(Frame *frame)
{
	bool old = (frame->vocabularies & DIALECT_2020) == 0;
	const char *where = NULL;
	const char *prefix_where = NULL;
	const char *rest_keyword = "items";
	uint32 first = 0;
	uint32 count = 0;
	uint32 rest;
	Value prefix;

	if (ga_frame_find(frame, old ? "items" : "prefixItems", &prefix, &prefix_where) &&
	    (!old || prefix.type == VALUE_ARRAY))
	{
		if (!(old && prefix.length == 0) && !ga_frame_want_list(frame, &prefix, prefix_where))
			return;
		first = ga_frame_schemas(frame, &prefix, prefix_where);
		count = prefix.length;
		rest_keyword = old ? "additionalItems" : "items";
	}
	rest = find_schema(frame, rest_keyword, &where);
	if (count > 0 || rest != NONE)
		ga_frame_emit(frame, OP_ITEMS, first, count, rest, where != NULL ? where : prefix_where);
}

void
ga_compile_contains(Frame *frame)
{
	const char *where;
	const char *count_where;
	uint32 least = 1;
	uint32 most = NONE;
	uint32 block = find_schema(frame, "contains", &where);
	Value value;
	bool counts = (frame->vocabularies & VOCABULARY_VALIDATION) != 0 &&
	              (frame->vocabularies & SINCE_2019) != 0;

	if (counts && ga_frame_find(frame, "minContains", &value, &count_where))
		ga_frame_count(frame, &value, count_where, &least);
	if (counts && ga_frame_find(frame, "maxContains", &value, &count_where))
		ga_frame_count(frame, &value, count_where, &most);
	if (block != NONE)
		ga_frame_emit(frame, frame->vocabularies & DIALECT_2020 ? OP_CONTAINS : OP_CONTAINS_UNSEEN,
		              block, least, most, where);
}

void
ga_compile_if(Frame *frame)
{
	const char *where;
	const char *branch;
	uint32 condition = find_schema(frame, "if", &where);
	uint32 yes = find_schema(frame, "then", &branch);
	uint32 no = find_schema(frame, "else", &branch);

	if (condition != NONE)
		ga_frame_emit(frame, OP_IF, condition, yes, no, where);
}

static int
property_order(const void *a, const void *b)
{
	const Property *left = a;
	const Property *right = b;
	int order = name_compare(left->name, left->bytes, right->name, right->bytes);

	/* the one with a schema first, so that merging keeps it */
	if (order == 0 && (left->block == NONE) != (right->block == NONE))
		return left->block == NONE ? 1 : -1;
	return order;
}

/* One sorted table of what properties and required name. */
static void
build_properties(ObjectPlan *plan, Property *all, uint32 count)
{
	uint32 kept = 0;

	qsort(all, count, sizeof(Property), property_order);
	for (uint32 i = 0; i < count; i++)
	{
		if (kept > 0 &&
		    name_compare(all[kept - 1].name, all[kept - 1].bytes, all[i].name, all[i].bytes) == 0)
			all[kept - 1].required |= all[i].required;
		else
			all[kept++] = all[i];
	}
	plan->properties = all;
	plan->nproperties = kept;
	for (uint32 i = 0; i < kept; i++)
		plan->nrequired += all[i].required;
}

static Property *
read_properties(Frame *frame, uint32 *count, const char **required_where)
{
	const char *where;
	uint32 nrequired = 0;
	Property *required = NULL;
	Property *all;
	Value value;

	if ((frame->vocabularies & VOCABULARY_VALIDATION) &&
	    ga_frame_find(frame, "required", &value, required_where))
		required = ga_frame_names(frame, &value, *required_where, &nrequired);
	if (!(frame->vocabularies & VOCABULARY_APPLICATOR) ||
	    !ga_frame_find(frame, "properties", &value, &where))
		value = (Value){.type = VALUE_OBJECT};
	else if (!ga_frame_want(frame, &value, VALUE_OBJECT, where, "properties must be an object"))
		value.length = 0;
	*count = value.length + nrequired;
	all = palloc(sizeof(Property) * (*count + 1));
	for (uint32 i = 0; i < value.length; i++)
	{
		Value name;
		Value child;

		ga_value_name(&value, i, &name);
		ga_value_child(&value, i, &child);
		all[i] = (Property){name.at, name.length, NONE, false};
		all[i].block =
		    ga_frame_schema(frame, &child, ga_compiler_below(where, name.at, name.length));
	}
	if (nrequired > 0)
		memcpy(all + value.length, required, sizeof(Property) * nrequired);
	return all;
}

static void
read_patterns(Frame *frame, ObjectPlan *plan)
{
	const char *where;
	Value value;

	if (!ga_frame_find(frame, "patternProperties", &value, &where) ||
	    !ga_frame_want(frame, &value, VALUE_OBJECT, where, "patternProperties must be an object"))
		return;
	plan->patterns = palloc0(sizeof(PatternProperty) * (value.length + 1));
	for (uint32 i = 0; i < value.length && !ga_compiler_failed(frame->c); i++)
	{
		Value name;
		Value child;
		const char *below;

		ga_value_name(&value, i, &name);
		ga_value_child(&value, i, &child);
		below = ga_compiler_below(where, name.at, name.length);
		plan->patterns[i].regex = ga_frame_regex(frame, &name, below);
		plan->patterns[i].block = ga_frame_schema(frame, &child, below);
	}
	plan->npatterns = value.length;
}

void
ga_compile_object(Frame *frame)
{
	ObjectPlan plan = {.additional = NONE};
	const char *where = NULL;
	uint32 count;
	Property *all = read_properties(frame, &count, &plan.required_where);

	if (frame->vocabularies & VOCABULARY_APPLICATOR)
	{
		read_patterns(frame, &plan);
		plan.additional = find_schema(frame, "additionalProperties", &where);
	}
	if (ga_compiler_failed(frame->c))
		return;
	build_properties(&plan, all, count);
	if (plan.nproperties == 0 && plan.npatterns == 0 && plan.additional == NONE)
		return;
	ga_frame_emit(frame, OP_OBJECT, frame->c->objects.count, 0, 0,
	              ga_compiler_below(frame->where, "properties", 10));
	*(ObjectPlan *) ga_pool_add(&frame->c->objects) = plan;
}
