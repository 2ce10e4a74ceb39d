/* SPDX-License-Identifier: PostgreSQL */
/*
 * Documents, resources, anchors and references of the schema compiler. A reference finds what the
 * schema itself holds, then what the loader knows by that URI; nothing here opens a file or a
 * socket. Documents are copied into the program's context, since the program points into them.
 */
#include "schema_compiler.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "limits.h"
#include "uri.h"

void *
ga_pool_add(Pool *pool)
{
	if (pool->count == pool->capacity)
	{
		pool->capacity = pool->capacity > 0 ? 2 * pool->capacity : 16;
		pool->items = pool->items == NULL
		                  ? palloc_extended(pool->capacity * pool->item_bytes, MCXT_ALLOC_HUGE)
		                  : repalloc_huge(pool->items, pool->capacity * pool->item_bytes);
	}
	memset(pool->items + pool->count * pool->item_bytes, 0, pool->item_bytes);
	return pool->items + pool->count++ * pool->item_bytes;
}

bool
ga_compiler_failed(const Compiler *c)
{
	return c->fault->message != NULL;
}

void
ga_compiler_fail(Compiler *c, const char *where, bool unsupported, const char *message)
{
	if (ga_compiler_failed(c))
		return;
	c->fault->pointer = where;
	c->fault->unsupported = unsupported;
	c->fault->message = message;
}

const char *
ga_compiler_below(const char *where, const char *name, uint32 bytes)
{
	Size length = strlen(where);
	char *out;
	char *to;

	/* a place is told to people: below a path this long the place above has to do */
	if (length + 2 * (Size) bytes > GA_SCHEMA_PATH_MAX_BYTES)
		return where;
	out = palloc(length + 2 * (Size) bytes + 2);
	to = out + length;
	memcpy(out, where, length);
	*to++ = '/';
	for (uint32 i = 0; i < bytes; i++)
	{
		if (name[i] == '~' || name[i] == '/')
		{
			*to++ = '~';
			*to++ = name[i] == '~' ? '0' : '1';
		}
		else
			*to++ = name[i];
	}
	*to = '\0';
	return out;
}

const char *
ga_compiler_below_n(const char *where, uint32 n)
{
	return strlen(where) > GA_SCHEMA_PATH_MAX_BYTES ? where : psprintf("%s/%u", where, n);
}

const char *
ga_compiler_text(const Value *string)
{
	return pnstrdup(string->at, string->length);
}

/* Where schemas stand inside a schema. */
typedef enum Holds
{
	HOLDS_SCHEMA,
	HOLDS_MAP,
	HOLDS_LIST
} Holds;

static const struct
{
	const char *keyword;
	Holds holds;
	uint32 dialects;
} holders[] = {
    {"$defs", HOLDS_MAP, SINCE_2019},
    {"additionalItems", HOLDS_SCHEMA, UNTIL_2019},
    {"additionalProperties", HOLDS_SCHEMA, ANY_DIALECT},
    {"allOf", HOLDS_LIST, ANY_DIALECT},
    {"anyOf", HOLDS_LIST, ANY_DIALECT},
    {"contains", HOLDS_SCHEMA, ANY_DIALECT},
    {"definitions", HOLDS_MAP, ANY_DIALECT},
    {"dependencies", HOLDS_MAP, ANY_DIALECT},
    {"dependentSchemas", HOLDS_MAP, SINCE_2019},
    {"else", HOLDS_SCHEMA, ANY_DIALECT},
    {"if", HOLDS_SCHEMA, ANY_DIALECT},
    {"items", HOLDS_SCHEMA, ANY_DIALECT},
    {"not", HOLDS_SCHEMA, ANY_DIALECT},
    {"oneOf", HOLDS_LIST, ANY_DIALECT},
    {"patternProperties", HOLDS_MAP, ANY_DIALECT},
    {"prefixItems", HOLDS_LIST, DIALECT_2020},
    {"properties", HOLDS_MAP, ANY_DIALECT},
    {"propertyNames", HOLDS_SCHEMA, ANY_DIALECT},
    {"then", HOLDS_SCHEMA, ANY_DIALECT},
    {"unevaluatedItems", HOLDS_SCHEMA, SINCE_2019},
    {"unevaluatedProperties", HOLDS_SCHEMA, SINCE_2019},
};

static uint32
dialect_of(Compiler *c, uint32 resource)
{
	return pool_item(&c->resources, Resource, resource)->vocabularies & ANY_DIALECT;
}

static bool
find_text(Compiler *c, const Value *node, const char *keyword, const char *where, const char **text)
{
	Value value;

	*text = NULL;
	if (ga_value_find(node, keyword, strlen(keyword), &value) < 0)
		return true;
	if (value.type != VALUE_STRING)
	{
		ga_compiler_fail(c, ga_compiler_below(where, keyword, strlen(keyword)), false,
		                 psprintf("%s must be a string", keyword));
		return false;
	}
	*text = ga_compiler_text(&value);
	return true;
}

static bool
anchor_ok(const char *name)
{
	if (!((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z') ||
	      name[0] == '_'))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
	       strlen(name);
}

static void
add_anchor(Compiler *c, const Value *node, const char *name, bool dynamic, uint32 resource,
           const char *where)
{
	Anchor *anchor;

	for (uint32 i = 0; i < c->anchors.count; i++)
	{
		anchor = pool_item(&c->anchors, Anchor, i);
		if (anchor->resource == resource && strcmp(anchor->name, name) == 0 &&
		    anchor->node.at != node->at)
		{
			ga_compiler_fail(c, where, false, "an anchor is defined twice");
			return;
		}
	}
	anchor = ga_pool_add(&c->anchors);
	anchor->name = name;
	anchor->node = *node;
	anchor->where = where;
	anchor->resource = resource;
	anchor->dynamic = dynamic;
}

static void
scan_anchor(Compiler *c, const Value *node, const char *keyword, uint32 resource, const char *where)
{
	const char *name;

	if (!find_text(c, node, keyword, where, &name) || name == NULL)
		return;
	if (anchor_ok(name))
		add_anchor(c, node, name, strcmp(keyword, "$dynamicAnchor") == 0, resource, where);
	else
		ga_compiler_fail(c, ga_compiler_below(where, keyword, strlen(keyword)), false,
		                 psprintf("%s must begin with a letter or _ and hold letters, digits, "
		                          "'_', '-' and '.' only",
		                          keyword));
}

/* $anchor, $dynamicAnchor, and a resource root's $recursiveAnchor, which has no name. */
static void
scan_anchors(Compiler *c, const Value *node, uint32 resource, const char *where)
{
	uint32 dialect = dialect_of(c, resource);
	Value recursive;

	if (dialect & SINCE_2019)
		scan_anchor(c, node, "$anchor", resource, where);
	if (dialect & DIALECT_2020)
		scan_anchor(c, node, "$dynamicAnchor", resource, where);
	if (!(dialect & DIALECT_2019) || ga_value_find(node, "$recursiveAnchor", 16, &recursive) < 0)
		return;
	if (recursive.type != VALUE_BOOL)
		ga_compiler_fail(c, where, false, "$recursiveAnchor must be true or false");
	else if (recursive.truth && pool_item(&c->resources, Resource, resource)->root.at == node->at)
		add_anchor(c, node, GA_RECURSIVE_ANCHOR, true, resource, where);
}

static int
find_resource(Compiler *c, const char *uri)
{
	for (uint32 i = 0; i < c->resources.count; i++)
	{
		const Resource *resource = pool_item(&c->resources, Resource, i);

		if (strcmp(resource->uri, uri) == 0 || strcmp(resource->found_as, uri) == 0)
			return (int) i;
	}
	return -1;
}

static uint32
new_resource(Compiler *c, const Value *root, const char *uri, const char *prefix,
             uint32 vocabularies)
{
	Resource *resource;

	if (c->resources.count >= GA_SCHEMA_RESOURCES_MAX)
		ga_compiler_fail(c, prefix, false, "the schema has too many resources");
	resource = ga_pool_add(&c->resources);
	resource->uri = uri;
	resource->found_as = uri;
	resource->prefix = prefix;
	resource->root = *root;
	resource->vocabularies = vocabularies;
	return c->resources.count - 1;
}

/* Splits an $id; draft 7 lets its fragment be an anchor, later drafts none. False: a fault. */
static bool
split_id(Compiler *c, const char *id, uint32 resource, const char *where, const char **anchor)
{
	const char *hash = strchr(id, '#');

	*anchor = NULL;
	if (hash == NULL || hash[1] == '\0')
		return true;
	if ((dialect_of(c, resource) & DIALECT_7) && anchor_ok(hash + 1))
	{
		*anchor = hash + 1;
		return true;
	}
	ga_compiler_fail(c, ga_compiler_below(where, "$id", 3), false, "$id must have no fragment");
	return false;
}

static uint32
name_resource(Compiler *c, const Value *node, const char *uri, uint32 outer, const char *where)
{
	Resource *resource = pool_item(&c->resources, Resource, outer);
	const char *prefix = psprintf("%s#", uri);

	if (resource->root.at == node->at)
	{
		/* the document's own root: its $id is its name */
		resource->uri = uri;
		if (resource->prefix[0] != '\0')
			resource->prefix = prefix;
		return outer;
	}
	if (find_resource(c, uri) >= 0)
	{
		ga_compiler_fail(c, ga_compiler_below(where, "$id", 3), false,
		                 "two schemas have the same $id");
		return outer;
	}
	return new_resource(c, node, uri, prefix,
	                    ga_compiler_dialect(c, node, where, resource->vocabularies));
}

/* An $id inside a document starts a resource of its own. */
static uint32
embedded_resource(Compiler *c, const Value *node, uint32 outer, const char *where)
{
	const char *id;
	const char *anchor;
	const char *uri;
	uint32 resource = outer;

	/* in draft 7 nothing beside a $ref counts */
	if ((dialect_of(c, outer) & DIALECT_7) && ga_value_find(node, "$ref", 4, NULL) >= 0)
		return outer;
	if (!find_text(c, node, "$id", where, &id) || id == NULL ||
	    !split_id(c, id, outer, where, &anchor))
		return outer;
	uri = ga_uri_resolve(&c->arena, pool_item(&c->resources, Resource, outer)->uri, id);
	if (uri == NULL)
	{
		ga_compiler_fail(c, where, false, "the schema needs too much memory");
		return outer;
	}
	if (id[0] != '#')
		resource = name_resource(c, node, pstrdup(uri), outer, where);
	if (anchor != NULL)
		add_anchor(c, node, anchor, false, resource, where);
	return resource;
}

static void scan(Compiler *c, const Value *node, uint32 resource, const char *where);

static void
scan_holder(Compiler *c, const Value *value, Holds holds, uint32 resource, const char *where)
{
	Value child;
	Value name;

	/* before 2020-12 items could be an array */
	if (holds == HOLDS_SCHEMA && value->type == VALUE_ARRAY &&
	    (dialect_of(c, resource) & UNTIL_2019))
		holds = HOLDS_LIST;
	if (holds == HOLDS_SCHEMA)
	{
		scan(c, value, resource, where);
		return;
	}
	if (value->type != (holds == HOLDS_MAP ? VALUE_OBJECT : VALUE_ARRAY))
		return; /* schema_compile.c says so */
	for (uint32 i = 0; i < value->length && !ga_compiler_failed(c); i++)
	{
		ga_value_child(value, i, &child);
		if (holds == HOLDS_LIST)
		{
			scan(c, &child, resource, ga_compiler_below_n(where, i));
			continue;
		}
		ga_value_name(value, i, &name);
		scan(c, &child, resource, ga_compiler_below(where, name.at, name.length));
	}
}

/* Registers the resources and anchors at and below a schema. */
static void
scan(Compiler *c, const Value *node, uint32 resource, const char *where)
{
	uint32 inner;

	CHECK_FOR_INTERRUPTS();
	if (node->type != VALUE_OBJECT || ga_compiler_failed(c))
		return;
	if (c->nesting >= GA_SCHEMA_NESTING_MAX)
	{
		ga_compiler_fail(c, where, false, "the schema is nested too deeply");
		return;
	}
	c->nesting++;
	inner = embedded_resource(c, node, resource, where);
	if (inner != resource || pool_item(&c->resources, Resource, inner)->root.at == node->at)
		where = pool_item(&c->resources, Resource, inner)->prefix;
	scan_anchors(c, node, inner, where);
	for (Size i = 0; i < lengthof(holders) && !ga_compiler_failed(c); i++)
	{
		const char *keyword = holders[i].keyword;
		Value value;

		if ((holders[i].dialects & dialect_of(c, inner)) &&
		    ga_value_find(node, keyword, strlen(keyword), &value) >= 0)
			scan_holder(c, &value, holders[i].holds, inner,
			            ga_compiler_below(where, keyword, strlen(keyword)));
	}
	c->nesting--;
}

uint32
ga_compiler_add_document(Compiler *c, const Jsonb *document, const char *base, bool main_document)
{
	Jsonb *copy = MemoryContextAllocHuge(c->context, VARSIZE(document));
	const char *prefix = main_document ? "" : psprintf("%s#", base);
	uint32 resource;
	Value root;

	memcpy(copy, document, VARSIZE(document));
	ga_value_of_jsonb(&root, copy);
	resource = new_resource(c, &root, pstrdup(base), prefix,
	                        ga_compiler_dialect(c, &root, prefix, GA_DIALECT_DEFAULT));
	scan(c, &root, resource, prefix);
	return resource;
}

uint32
ga_compiler_resource_at(Compiler *c, const Value *node, uint32 outer)
{
	if (node->type != VALUE_OBJECT || ga_value_find(node, "$id", 3, NULL) < 0)
		return outer;
	for (uint32 i = 0; i < c->resources.count; i++)
	{
		if (pool_item(&c->resources, Resource, i)->root.at == node->at)
			return i;
	}
	return outer;
}

/* The token of a JSON Pointer that follows the slash at *at, unescaped; null where no slash is. */
static const char *
next_token(const char **at)
{
	Size raw = **at == '/' ? strcspn(*at + 1, "/") : 0;
	char *token;
	char *to;

	if (**at != '/')
		return NULL;
	token = to = palloc(raw + 1);
	for (const char *from = *at + 1; from < *at + 1 + raw; from++)
	{
		if (from[0] == '~' && (from[1] == '0' || from[1] == '1'))
			*to++ = *++from == '0' ? '~' : '/';
		else
			*to++ = *from;
	}
	*to = '\0';
	*at += 1 + raw;
	return token;
}

static bool
step(const Value *node, const char *token, Value *child)
{
	if (node->type == VALUE_OBJECT)
		return ga_value_find(node, token, strlen(token), child) >= 0;
	if (node->type == VALUE_ARRAY && token[0] != '\0' && strlen(token) < 9 &&
	    strspn(token, "0123456789") == strlen(token) && (token[0] != '0' || token[1] == '\0') &&
	    (uint32) atoi(token) < node->length)
	{
		ga_value_child(node, (uint32) atoi(token), child);
		return true;
	}
	return false;
}

static bool
follow_pointer(Compiler *c, const char *pointer, Target *target)
{
	const char *token;

	while ((token = next_token(&pointer)) != NULL)
	{
		Value child;
		uint32 inner;

		if (!step(&target->node, token, &child))
			return false;
		target->node = child;
		inner = ga_compiler_resource_at(c, &child, target->resource);
		target->where = inner != target->resource
		                    ? pool_item(&c->resources, Resource, inner)->prefix
		                    : ga_compiler_below(target->where, token, strlen(token));
		target->resource = inner;
	}
	return *pointer == '\0';
}

static bool
follow_anchor(Compiler *c, const char *name, Target *target)
{
	for (uint32 i = 0; i < c->anchors.count; i++)
	{
		const Anchor *anchor = pool_item(&c->anchors, Anchor, i);

		if (anchor->resource == target->resource && strcmp(anchor->name, name) == 0)
		{
			target->node = anchor->node;
			target->where = anchor->where;
			target->dynamic_name = anchor->dynamic ? anchor->name : NULL;
			return true;
		}
	}
	return false;
}

static int
load(Compiler *c, const char *uri, const char *reference)
{
	const char *names[2] = {uri, pnstrdup(reference, strcspn(reference, "#"))};

	for (int i = 0; i < 2; i++)
	{
		int known = find_resource(c, names[i]);
		const Jsonb *document;

		if (known >= 0)
			return known;
		document = ga_compiler_load(c, names[i]);
		if (document != NULL)
			return (int) ga_compiler_add_document(c, document, names[i], false);
	}
	return -1;
}

void
ga_compiler_resolve(Compiler *c, uint32 resource, const char *reference, const char *where,
                    Target *target)
{
	char *uri =
	    ga_uri_resolve(&c->arena, pool_item(&c->resources, Resource, resource)->uri, reference);
	char *fragment = ga_uri_fragment(&c->arena, reference);
	int found;
	bool ok;

	memset(target, 0, sizeof(*target));
	if (uri == NULL)
	{
		ga_compiler_fail(c, where, false, "the schema needs too much memory");
		return;
	}
	found = reference[0] == '#' ? (int) resource : find_resource(c, uri);
	if (found < 0)
		found = load(c, uri, reference);
	if (ga_compiler_failed(c))
		return;
	if (found < 0)
	{
		ga_compiler_fail(c, where, false,
		                 psprintf("%s names no schema that is known here", reference));
		return;
	}
	target->resource = (uint32) found;
	target->node = pool_item(&c->resources, Resource, found)->root;
	target->where = pool_item(&c->resources, Resource, found)->prefix;
	if (fragment == NULL)
		ok = strchr(reference, '#') == NULL;
	else if (fragment[0] == '\0' || fragment[0] == '/')
		ok = follow_pointer(c, fragment, target);
	else
		ok = follow_anchor(c, fragment, target);
	if (!ok)
		ga_compiler_fail(c, where, false, psprintf("%s points at nothing", reference));
}

const char *
ga_compiler_recursive(Compiler *c, uint32 resource)
{
	for (uint32 i = 0; i < c->anchors.count; i++)
	{
		const Anchor *anchor = pool_item(&c->anchors, Anchor, i);

		if (anchor->resource == resource && strcmp(anchor->name, GA_RECURSIVE_ANCHOR) == 0)
			return anchor->name;
	}
	return NULL;
}
