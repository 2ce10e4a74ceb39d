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

#define DIALECT "https://json-schema.org/draft/2020-12/schema"
#define VOCABULARY_BASE "https://json-schema.org/draft/2020-12/vocab/"

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
	char *out = palloc(length + 2 * (Size) bytes + 2);
	char *to = out + length;

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
	return psprintf("%s/%u", where, n);
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
} holders[] = {
    {"$defs", HOLDS_MAP},
    {"additionalProperties", HOLDS_SCHEMA},
    {"allOf", HOLDS_LIST},
    {"anyOf", HOLDS_LIST},
    {"contains", HOLDS_SCHEMA},
    {"definitions", HOLDS_MAP},
    {"dependencies", HOLDS_MAP},
    {"dependentSchemas", HOLDS_MAP},
    {"else", HOLDS_SCHEMA},
    {"if", HOLDS_SCHEMA},
    {"items", HOLDS_SCHEMA},
    {"not", HOLDS_SCHEMA},
    {"oneOf", HOLDS_LIST},
    {"patternProperties", HOLDS_MAP},
    {"prefixItems", HOLDS_LIST},
    {"properties", HOLDS_MAP},
    {"propertyNames", HOLDS_SCHEMA},
    {"then", HOLDS_SCHEMA},
    {"unevaluatedItems", HOLDS_SCHEMA},
    {"unevaluatedProperties", HOLDS_SCHEMA},
};

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
add_anchor(Compiler *c, const Value *node, const char *keyword, uint32 resource, const char *where)
{
	const char *name;
	Anchor *anchor;

	if (!find_text(c, node, keyword, where, &name) || name == NULL)
		return;
	if (!anchor_ok(name))
	{
		ga_compiler_fail(c, ga_compiler_below(where, keyword, strlen(keyword)), false,
		                 psprintf("%s must begin with a letter or _ and hold letters, digits, "
		                          "'_', '-' and '.' only",
		                          keyword));
		return;
	}
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
	anchor->dynamic = strcmp(keyword, "$dynamicAnchor") == 0;
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

/* An $id inside a document starts a resource of its own. */
static uint32
embedded_resource(Compiler *c, const Value *node, uint32 outer, const char *where)
{
	const char *id;
	const char *hash;
	char *uri;

	if (!find_text(c, node, "$id", where, &id) || id == NULL)
		return outer;
	hash = strchr(id, '#');
	if (hash != NULL && hash[1] != '\0')
	{
		ga_compiler_fail(c, ga_compiler_below(where, "$id", 3), false, "$id must have no fragment");
		return outer;
	}
	uri = ga_uri_resolve(&c->arena, pool_item(&c->resources, Resource, outer)->uri, id);
	if (uri == NULL)
	{
		ga_compiler_fail(c, where, false, "the schema needs too much memory");
		return outer;
	}
	uri = pstrdup(uri);
	if (pool_item(&c->resources, Resource, outer)->root.at == node->at)
	{
		/* the document's own root: its $id is its name */
		Resource *root = pool_item(&c->resources, Resource, outer);

		root->uri = uri;
		if (root->prefix[0] != '\0')
			root->prefix = psprintf("%s#", uri);
		return outer;
	}
	if (find_resource(c, uri) >= 0)
	{
		ga_compiler_fail(c, ga_compiler_below(where, "$id", 3), false,
		                 "two schemas have the same $id");
		return outer;
	}
	return new_resource(c, node, uri, psprintf("%s#", uri),
	                    pool_item(&c->resources, Resource, outer)->vocabularies);
}

static void scan(Compiler *c, const Value *node, uint32 resource, const char *where);

static void
scan_holder(Compiler *c, const Value *value, Holds holds, uint32 resource, const char *where)
{
	Value child;
	Value name;

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

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (node->type != VALUE_OBJECT || ga_compiler_failed(c))
		return;
	inner = embedded_resource(c, node, resource, where);
	if (inner != resource || pool_item(&c->resources, Resource, inner)->root.at == node->at)
		where = pool_item(&c->resources, Resource, inner)->prefix;
	add_anchor(c, node, "$anchor", inner, where);
	add_anchor(c, node, "$dynamicAnchor", inner, where);
	for (Size i = 0; i < lengthof(holders) && !ga_compiler_failed(c); i++)
	{
		const char *keyword = holders[i].keyword;
		Value value;

		if (ga_value_find(node, keyword, strlen(keyword), &value) >= 0)
			scan_holder(c, &value, holders[i].holds, inner,
			            ga_compiler_below(where, keyword, strlen(keyword)));
	}
}

/* A loader may query, which leaves another memory context current. */
static const Jsonb *
call_loader(Compiler *c, const char *uri)
{
	const Jsonb *document;

	if (c->loader == NULL || uri[0] == '\0')
		return NULL;
	document = c->loader(c->loader_context, uri);
	MemoryContextSwitchTo(c->context);
	return document;
}

static uint32
vocabularies_of(Compiler *c, const Value *metaschema, const char *where)
{
	static const struct
	{
		const char *name;
		uint32 bit;
	} known[] = {{"core", 0},
	             {"applicator", VOCABULARY_APPLICATOR},
	             {"validation", VOCABULARY_VALIDATION},
	             {"unevaluated", VOCABULARY_UNEVALUATED},
	             {"meta-data", 0},
	             {"content", 0},
	             {"format-annotation", 0},
	             {"format-assertion", VOCABULARY_FORMAT_ASSERTION}};
	Value table;
	uint32 bits = 0;

	if (ga_value_find(metaschema, "$vocabulary", 11, &table) < 0 || table.type != VALUE_OBJECT)
		return VOCABULARY_APPLICATOR | VOCABULARY_VALIDATION | VOCABULARY_UNEVALUATED;
	for (uint32 i = 0; i < table.length; i++)
	{
		Value name;
		Value required;
		const char *uri;
		Size k;

		ga_value_name(&table, i, &name);
		ga_value_child(&table, i, &required);
		uri = ga_compiler_text(&name);
		for (k = 0; k < lengthof(known); k++)
		{
			if (strncmp(uri, VOCABULARY_BASE, strlen(VOCABULARY_BASE)) == 0 &&
			    strcmp(uri + strlen(VOCABULARY_BASE), known[k].name) == 0)
				break;
		}
		if (k < lengthof(known))
			bits |= known[k].bit;
		else if (required.type != VALUE_BOOL || required.truth)
			ga_compiler_fail(c, where, true, psprintf("vocabulary %s is not supported", uri));
	}
	return bits;
}

/* What $schema of a document asks for. Without one: 2020-12. */
static uint32
dialect_of(Compiler *c, const Value *root, const char *where)
{
	uint32 standard = VOCABULARY_APPLICATOR | VOCABULARY_VALIDATION | VOCABULARY_UNEVALUATED;
	const Jsonb *metaschema;
	const char *uri;
	char *bare;
	Value value;

	if (root->type != VALUE_OBJECT || !find_text(c, root, "$schema", where, &uri) || uri == NULL)
		return standard;
	where = ga_compiler_below(where, "$schema", 7);
	bare = pstrdup(uri);
	if (bare[0] != '\0' && bare[strlen(bare) - 1] == '#')
		bare[strlen(bare) - 1] = '\0';
	if (strcmp(bare, DIALECT) == 0)
		return standard;
	metaschema = strncmp(bare, "http://json-schema.org/", 23) == 0 ? NULL : call_loader(c, bare);
	if (metaschema == NULL)
	{
		ga_compiler_fail(c, where, true, psprintf("dialect %s is not supported", bare));
		return standard;
	}
	ga_value_of_jsonb(&value, metaschema);
	return vocabularies_of(c, &value, where);
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
	resource = new_resource(c, &root, pstrdup(base), prefix, dialect_of(c, &root, prefix));
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
		document = call_loader(c, names[i]);
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
