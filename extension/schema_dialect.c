/* SPDX-License-Identifier: PostgreSQL */
/*
 * Dialects of JSON Schema: draft 7, 2019-09 and 2020-12 (also with formats asserted), and what a
 * meta-schema of one's own takes from the last two by $vocabulary. Any other dialect is refused,
 * never read as one of these.
 */
#include "schema_compiler.h"

/* A loader may query, which leaves another memory context current. */
const Jsonb *
ga_compiler_load(Compiler *c, const char *uri)
{
	const Jsonb *document;

	if (c->loader == NULL || uri[0] == '\0')
		return NULL;
	document = c->loader(c->loader_context, uri);
	MemoryContextSwitchTo(c->context);
	return document;
}

/* 2020-12 with formats asserted; ours, since the standard meta-schema only annotates. */
#define DIALECT_FORMATS "urn:goldenarch:2020-12-formats"

static const struct
{
	const char *uri;
	uint32 bits;
} dialects[] = {
    {"https://json-schema.org/draft/2020-12/schema", GA_DIALECT_DEFAULT},
    {"https://json-schema.org/draft/2019-09/schema",
     DIALECT_2019 | VOCABULARY_APPLICATOR | VOCABULARY_VALIDATION | VOCABULARY_UNEVALUATED},
    {"http://json-schema.org/draft-07/schema",
     DIALECT_7 | VOCABULARY_APPLICATOR | VOCABULARY_VALIDATION},
    {DIALECT_FORMATS, GA_DIALECT_DEFAULT | VOCABULARY_FORMAT_ASSERTION},
};

static const struct
{
	const char *uri;
	uint32 bits;
} vocabularies[] = {
    {"https://json-schema.org/draft/2020-12/vocab/core", DIALECT_2020},
    {"https://json-schema.org/draft/2020-12/vocab/applicator", VOCABULARY_APPLICATOR},
    {"https://json-schema.org/draft/2020-12/vocab/validation", VOCABULARY_VALIDATION},
    {"https://json-schema.org/draft/2020-12/vocab/unevaluated", VOCABULARY_UNEVALUATED},
    {"https://json-schema.org/draft/2020-12/vocab/meta-data", 0},
    {"https://json-schema.org/draft/2020-12/vocab/content", 0},
    {"https://json-schema.org/draft/2020-12/vocab/format-annotation", 0},
    {"https://json-schema.org/draft/2020-12/vocab/format-assertion", VOCABULARY_FORMAT_ASSERTION},
    {"https://json-schema.org/draft/2019-09/vocab/core", DIALECT_2019},
    {"https://json-schema.org/draft/2019-09/vocab/applicator",
     VOCABULARY_APPLICATOR | VOCABULARY_UNEVALUATED},
    {"https://json-schema.org/draft/2019-09/vocab/validation", VOCABULARY_VALIDATION},
    {"https://json-schema.org/draft/2019-09/vocab/meta-data", 0},
    {"https://json-schema.org/draft/2019-09/vocab/content", 0},
};

static uint32
bits_of_vocabulary(Compiler *c, const char *uri, bool required, const char *where)
{
	for (Size i = 0; i < lengthof(vocabularies); i++)
	{
		if (strcmp(uri, vocabularies[i].uri) == 0)
			return vocabularies[i].bits;
	}
	/* in 2019-09 a format is asserted where its vocabulary is required */
	if (strcmp(uri, "https://json-schema.org/draft/2019-09/vocab/format") == 0)
		return required ? VOCABULARY_FORMAT_ASSERTION : 0;
	if (required)
		ga_compiler_fail(c, where, true, psprintf("vocabulary %s is not supported", uri));
	return 0;
}

/* What a meta-schema other than the standard ones says about itself. */
static uint32
bits_of_metaschema(Compiler *c, const Value *metaschema, const char *where)
{
	uint32 bits = 0;
	Value table;

	if (ga_value_find(metaschema, "$vocabulary", 11, &table) < 0 || table.type != VALUE_OBJECT)
		return GA_DIALECT_DEFAULT;
	for (uint32 i = 0; i < table.length; i++)
	{
		Value name;
		Value required;

		ga_value_name(&table, i, &name);
		ga_value_child(&table, i, &required);
		bits |= bits_of_vocabulary(c, ga_compiler_text(&name),
		                           required.type != VALUE_BOOL || required.truth, where);
	}
	if ((bits & ANY_DIALECT) != DIALECT_2019)
		bits = (bits & ~ANY_DIALECT) | DIALECT_2020;
	return bits;
}

uint32
ga_compiler_dialect(Compiler *c, const Value *root, const char *where, uint32 fallback)
{
	const Jsonb *metaschema;
	char *uri;
	Value value;

	if (root->type != VALUE_OBJECT || ga_value_find(root, "$schema", 7, &value) < 0)
		return fallback;
	where = ga_compiler_below(where, "$schema", 7);
	if (value.type != VALUE_STRING)
	{
		ga_compiler_fail(c, where, false, "$schema must be a string");
		return fallback;
	}
	uri = pnstrdup(value.at, value.length);
	if (uri[0] != '\0' && uri[strlen(uri) - 1] == '#')
		uri[strlen(uri) - 1] = '\0';
	for (Size i = 0; i < lengthof(dialects); i++)
	{
		if (strcmp(uri, dialects[i].uri) == 0)
			return dialects[i].bits;
	}
	metaschema = strncmp(uri, "http://json-schema.org/", 23) == 0 ? NULL : ga_compiler_load(c, uri);
	if (metaschema == NULL)
	{
		ga_compiler_fail(c, where, true, psprintf("dialect %s is not supported", uri));
		return fallback;
	}
	ga_value_of_jsonb(&value, metaschema);
	return bits_of_metaschema(c, &value, where);
}
