/* SPDX-License-Identifier: PostgreSQL */
/*
 * Runs a compiled schema over a jsonb value. One evaluator in two moods: without an error list it
 * stops at the first failure, with one it goes on and tells all. Annotations for unevaluated* are
 * kept only where an instruction around will read them. Depth, steps and regular expressions are
 * bounded: what the bounds stop is invalid, whatever "not" or "oneOf" stands around it.
 *
 * Nothing is written, no lock is held; the scratch memory is the backend's own and is emptied at
 * the start of each run, so an ERROR in between leaves nothing that matters.
 */
#include "schema_run.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "limits.h"

static bool eval(Run *run, uint32 block, const Value *value, const Path *path, Seen *seen);

static Seen *
seen_new(const Value *container)
{
	uint32 words = container->length / 64 + 1;
	Seen *seen = palloc0(offsetof(Seen, bits) + words * sizeof(uint64));

	seen->words = words;
	return seen;
}

static inline void
seen_add(Seen *seen, uint32 n)
{
	if (seen != NULL)
		seen->bits[n / 64] |= UINT64CONST(1) << (n % 64);
}

static inline bool
seen_has(const Seen *seen, uint32 n)
{
	return (seen->bits[n / 64] >> (n % 64)) & 1;
}

static void
seen_merge(Seen *into, const Seen *from)
{
	for (uint32 i = 0; i < into->words; i++)
		into->bits[i] |= from->bits[i];
}

/* As eval, without telling: a failure inside is no error of the whole. */
static bool
eval_quietly(Run *run, uint32 block, const Value *value, const Path *path, Seen *seen)
{
	GaSchemaErrors *errors = run->errors;
	bool ok;

	run->errors = NULL;
	ok = eval(run, block, value, path, seen);
	run->errors = errors;
	return ok;
}

/* As eval_quietly; what it saw counts only where it succeeds. */
static bool
eval_branch(Run *run, uint32 block, const Value *value, const Path *path, Seen *seen)
{
	Seen *own = seen == NULL ? NULL : seen_new(value);
	bool ok = eval_quietly(run, block, value, path, own);

	if (own != NULL)
	{
		if (ok)
			seen_merge(seen, own);
		pfree(own);
	}
	return ok;
}

/* Every pattern of the plan against one member. *matched: one fits its name. */
static bool
run_patterns(Run *run, const ObjectPlan *plan, const Value *name, const Value *member,
             const Path *path, bool *matched)
{
	bool ok = true;

	for (uint32 i = 0; i < plan->npatterns; i++)
	{
		GaMatch match = ga_regex_match(plan->patterns[i].regex, name->at, name->length);

		if (match == GA_MATCH_UNDECIDED)
			return ga_run_stop(run, "a pattern could not be decided within its limits");
		if (match == GA_MATCH_NO)
			continue;
		*matched = true;
		if (!eval(run, plan->patterns[i].block, member, path, NULL))
		{
			ok = false;
			if (run->errors == NULL)
				return false;
		}
	}
	return ok;
}

static bool
report_missing(Run *run, const ObjectPlan *plan, const Value *value, const Path *path)
{
	for (uint32 i = 0; run->errors != NULL && i < plan->nproperties; i++)
	{
		const Property *property = &plan->properties[i];

		if (!property->required || ga_value_find(value, property->name, property->bytes, NULL) >= 0)
			continue;
		ga_run_tell(
		    run, path, plan->required_where, "required",
		    psprintf("property \"%s\" is required", ga_run_shown(property->name, property->bytes)));
		if (run->errors->capped)
			break;
	}
	return false;
}

/*
 * The property of this name. Names come in order, so the search goes on where the last one
 * ended.
 */
static const Property *
merge_to(const ObjectPlan *plan, uint32 *at, const Value *name)
{
	while (*at < plan->nproperties)
	{
		const Property *property = &plan->properties[*at];
		int order = name_compare(property->name, property->bytes, name->at, name->length);

		if (order > 0)
			return NULL;
		(*at)++;
		if (order == 0)
			return property;
	}
	return NULL;
}

static bool
run_object(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	const ObjectPlan *plan = &run->program->objects[ins->a];
	Walk names = walk_names(value);
	Walk values = walk_values(value);
	uint32 at = 0;
	uint32 required = 0;
	bool ok = true;

	for (uint32 i = 0; i < value->length; i++)
	{
		Value name;
		Value member;
		const Property *property;
		bool matched = false;
		Path below;

		walk_next(&names, &name);
		walk_next(&values, &member);
		below = (Path){path, name.at, name.length, 0};
		property = merge_to(plan, &at, &name);
		if (property != NULL)
		{
			required += property->required;
			matched = property->block != NONE;
			if (matched)
				ok &= eval(run, property->block, &member, &below, NULL);
		}
		if (plan->npatterns > 0)
			ok &= run_patterns(run, plan, &name, &member, &below, &matched);
		if (!matched && plan->additional != NONE)
		{
			matched = true;
			ok &= eval(run, plan->additional, &member, &below, NULL);
		}
		if (matched)
			seen_add(seen, i);
		if (!ok && run->errors == NULL)
			return false;
	}
	return required < plan->nrequired ? report_missing(run, plan, value, path) : ok;
}

static bool
run_names(Run *run, const Instruction *ins, const Value *value, const Path *path)
{
	Walk names = walk_names(value);
	bool ok = true;

	for (uint32 i = 0; i < value->length; i++)
	{
		Value name;
		Path below;

		walk_next(&names, &name);
		below = (Path){path, name.at, name.length, 0};
		if (eval_quietly(run, ins->a, &name, &below, NULL))
			continue;
		if (run->errors == NULL)
			return false;
		ga_run_tell(run, &below, ins->where, "propertyNames", "the property's name is not allowed");
		ok = false;
	}
	return ok;
}

static bool
run_dependent(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	const Dependent *dependent = &run->program->dependents[ins->a];

	if (ga_value_find(value, dependent->name, dependent->bytes, NULL) < 0)
		return true;
	if (dependent->block != NONE)
		return eval(run, dependent->block, value, path, seen);
	for (uint32 i = 0; i < dependent->nrequired; i++)
	{
		const Property *name = &dependent->required[i];

		if (ga_value_find(value, name->name, name->bytes, NULL) < 0)
			FAIL(run, ins, path, "property \"%s\" needs property \"%s\"",
			     ga_run_shown(dependent->name, dependent->bytes),
			     ga_run_shown(name->name, name->bytes));
	}
	return true;
}

static bool
run_items(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	Walk walk = walk_array(value);
	bool ok = true;

	for (uint32 i = 0; i < value->length; i++)
	{
		uint32 block = i < ins->b ? run->program->lists[ins->a + i] : ins->c;
		Path below = {path, NULL, 0, i};
		Value item;

		if (block == NONE)
			break;
		walk_next(&walk, &item);
		seen_add(seen, i);
		if (!eval(run, block, &item, &below, NULL))
		{
			ok = false;
			if (run->errors == NULL)
				return false;
		}
	}
	return ok;
}

static bool
run_contains(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	Walk walk = walk_array(value);
	uint32 found = 0;

	for (uint32 i = 0; i < value->length; i++)
	{
		Path below = {path, NULL, 0, i};
		Value item;

		walk_next(&walk, &item);
		if (!eval_quietly(run, ins->a, &item, &below, NULL))
			continue;
		found++;
		seen_add(seen, i);
		if (seen == NULL && ins->c == NONE && found >= ins->b)
			return true;
	}
	if (found < ins->b)
		FAIL(run, ins, path, "must have at least %u items of the kind it must contain", ins->b);
	if (ins->c != NONE && found > ins->c)
		FAIL(run, ins, path, "must have at most %u items of the kind it must contain", ins->c);
	return true;
}

static bool
run_all_of(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	bool ok = true;

	for (uint32 i = 0; i < ins->b; i++)
	{
		ok &= eval(run, run->program->lists[ins->a + i], value, path, seen);
		if (!ok && run->errors == NULL)
			return false;
	}
	return ok;
}

/* anyOf and oneOf. */
static bool
run_some_of(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	uint32 most = ins->op == OP_ONE_OF ? 1 : NONE;
	uint32 found = 0;

	for (uint32 i = 0; i < ins->b && found <= most; i++)
	{
		if (!eval_branch(run, run->program->lists[ins->a + i], value, path, seen))
			continue;
		found++;
		if (seen == NULL && ins->op == OP_ANY_OF)
			return true;
	}
	if (found == 0)
		FAIL(run, ins, path, "must be valid against one of the %u schemas", ins->b);
	if (found > most)
		FAIL(run, ins, path, "must be valid against exactly one of the %u schemas", ins->b);
	return true;
}

static bool
run_dynamic(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	const char *name = run->program->values[ins->b].at;
	uint32 block = ins->a;

	/* the outermost resource with an anchor of that name wins: the last one found */
	for (const Scope *scope = run->scope; scope != NULL; scope = scope->up)
	{
		for (uint32 i = 0; i < run->program->ndynamic; i++)
		{
			const DynamicAnchor *anchor = &run->program->dynamic[i];

			if (anchor->resource == scope->resource && strcmp(anchor->name, name) == 0)
				block = anchor->block;
		}
	}
	return eval(run, block, value, path, seen);
}

/* What no instruction before this one has evaluated. */
static bool
run_unevaluated(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	bool ok = true;

	for (uint32 i = 0; i < value->length; i++)
	{
		Path below = {path, NULL, 0, i};
		Value child;
		Value name;

		if (seen_has(seen, i))
			continue;
		ga_value_child(value, i, &child);
		if (value->type == VALUE_OBJECT)
		{
			ga_value_name(value, i, &name);
			below.name = name.at;
			below.bytes = name.length;
		}
		seen_add(seen, i);
		if (!eval(run, ins->a, &child, &below, NULL))
		{
			ok = false;
			if (run->errors == NULL)
				return false;
		}
	}
	return ok;
}

static bool
run_if(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	uint32 next = eval_branch(run, ins->a, value, path, seen) ? ins->b : ins->c;

	return next == NONE || eval(run, next, value, path, seen);
}

static bool
run_one(Run *run, const Instruction *ins, const Value *value, const Path *path, Seen *seen)
{
	switch ((Op) ins->op)
	{
		case OP_OBJECT:
			return value->type != VALUE_OBJECT || run_object(run, ins, value, path, seen);
		case OP_NAMES:
			return value->type != VALUE_OBJECT || run_names(run, ins, value, path);
		case OP_DEPENDENT_REQUIRED:
		case OP_DEPENDENT_SCHEMAS:
		case OP_DEPENDENCIES:
			return value->type != VALUE_OBJECT || run_dependent(run, ins, value, path, seen);
		case OP_ITEMS:
			return value->type != VALUE_ARRAY || run_items(run, ins, value, path, seen);
		case OP_CONTAINS:
			return value->type != VALUE_ARRAY || run_contains(run, ins, value, path, seen);
		case OP_CONTAINS_UNSEEN:
			return value->type != VALUE_ARRAY || run_contains(run, ins, value, path, NULL);
		case OP_REF:
			return eval(run, ins->a, value, path, seen);
		case OP_DYNAMIC_REF:
			return run_dynamic(run, ins, value, path, seen);
		case OP_ALL_OF:
			return run_all_of(run, ins, value, path, seen);
		case OP_ANY_OF:
		case OP_ONE_OF:
			return run_some_of(run, ins, value, path, seen);
		case OP_NOT:
			if (eval_quietly(run, ins->a, value, path, NULL))
				FAIL(run, ins, path, "must not be valid against the schema");
			return true;
		case OP_IF:
			return run_if(run, ins, value, path, seen);
		case OP_UNEVALUATED_ITEMS:
			return value->type != VALUE_ARRAY || run_unevaluated(run, ins, value, path, seen);
		case OP_UNEVALUATED_PROPERTIES:
			return value->type != VALUE_OBJECT || run_unevaluated(run, ins, value, path, seen);
		default:
			return ga_run_scalar(run, ins, value, path);
	}
}

static bool
run_block(Run *run, const CodeBlock *block, const Value *value, const Path *path, Seen *seen)
{
	const Instruction *ins = run->program->code + block->first;
	bool ok = true;

	for (uint32 i = 0; i < block->count; i++, ins++)
	{
		ok &= run_one(run, ins, value, path, seen);
		if ((!ok && run->errors == NULL) || run->stopped != NULL)
			return false;
	}
	return ok;
}

static bool
eval(Run *run, uint32 number, const Value *value, const Path *path, Seen *seen)
{
	const CodeBlock *block = &run->program->blocks[number];
	Scope scope = {run->scope, block->resource};
	const Scope *outer = run->scope;
	Seen *own = seen;
	bool ok;

	if (block->count == 0)
		return true;
	CHECK_FOR_INTERRUPTS();
	if (run->stopped != NULL)
		return false;
	if (++run->steps > GA_SCHEMA_STEPS_MAX)
		return ga_run_stop(run, "the schema takes too many steps on this value");
	if (++run->depth > GA_SCHEMA_DEPTH_MAX)
		return ga_run_stop(run, "the schema recurs too deeply on this value");
	check_stack_depth();
	if (outer == NULL || outer->resource != block->resource)
		run->scope = &scope;
	/* a reader of annotations sees those of its own schema alone, not those of its neighbours */
	if (block->unevaluated && (value->type == VALUE_ARRAY || value->type == VALUE_OBJECT))
		own = seen_new(value);
	ok = run_block(run, block, value, path, own);
	if (own != seen)
	{
		if (ok && seen != NULL)
			seen_merge(seen, own);
		pfree(own);
	}
	run->scope = outer;
	run->depth--;
	return ok;
}

static bool
start(Run *run, const Jsonb *instance)
{
	static MemoryContext scratch = NULL;
	MemoryContext before;
	Value root;
	bool ok;

	if (scratch == NULL)
		scratch = AllocSetContextCreate(TopMemoryContext, "goldenarch schema run",
		                                ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(scratch);
	before = MemoryContextSwitchTo(scratch);
	ga_value_of_jsonb(&root, instance);
	ok = eval(run, run->program->root, &root, NULL, NULL) && run->stopped == NULL;
	MemoryContextSwitchTo(before);
	return ok;
}

bool
ga_schema_valid(const GaSchema *schema, const Jsonb *instance)
{
	Run run = {.program = schema};

	return start(&run, instance);
}

GaSchemaErrors
ga_schema_errors(const GaSchema *schema, const Jsonb *instance)
{
	GaSchemaErrors errors = {0};
	Run run = {.program = schema, .errors = &errors, .results = CurrentMemoryContext};

	if (!start(&run, instance) && run.stopped != NULL)
	{
		run.errors = &errors;
		if (errors.count == GA_SCHEMA_ERRORS_MAX)
			errors.count--;
		ga_run_tell(&run, NULL, "", "limit", run.stopped);
	}
	return errors;
}

bool
ga_schema_accepts_type(const GaSchema *schema, bool object)
{
	const CodeBlock *root = &schema->blocks[schema->root];

	for (uint32 i = root->first; i < root->first + root->count; i++)
	{
		if (schema->code[i].op == OP_TYPE)
			return (schema->code[i].a & TYPE_BIT(object ? VALUE_OBJECT : VALUE_ARRAY)) != 0;
	}
	return true;
}
