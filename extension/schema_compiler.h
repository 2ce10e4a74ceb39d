/* SPDX-License-Identifier: PostgreSQL */
/*
 * schema_compiler.h: what the two halves of the compiler share. schema_resolve.c knows documents,
 * resources ($id), anchors and what a reference names; schema_compile.c turns keywords into
 * instructions. The first fault stops both: every function returns at once when one is set.
 */
#ifndef GA_SCHEMA_COMPILER_H
#define GA_SCHEMA_COMPILER_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "arena.h"
#include "schema_program.h"

/* An array that grows; items may move. */
typedef struct Pool
{
	char *items;
	uint32 count;
	uint32 capacity;
	Size item_bytes;
} Pool;

#define VOCABULARY_APPLICATOR 1u
#define VOCABULARY_VALIDATION 2u
#define VOCABULARY_UNEVALUATED 4u
#define VOCABULARY_FORMAT_ASSERTION 8u

/* The dialect stands beside the vocabularies in one mask. */
#define DIALECT_7 0x100u
#define DIALECT_2019 0x200u
#define DIALECT_2020 0x400u
#define SINCE_2019 (DIALECT_2019 | DIALECT_2020)
#define UNTIL_2019 (DIALECT_7 | DIALECT_2019)
#define ANY_DIALECT (DIALECT_7 | DIALECT_2019 | DIALECT_2020)
#define GA_DIALECT_DEFAULT \
	(DIALECT_2020 | VOCABULARY_APPLICATOR | VOCABULARY_VALIDATION | VOCABULARY_UNEVALUATED)

/* What $recursiveAnchor is kept as: no $anchor can be spelled so. */
#define GA_RECURSIVE_ANCHOR "$recursiveAnchor"

typedef struct Resource
{
	const char *uri;      /* absolute where it has a name, no fragment */
	const char *found_as; /* the URI a document was loaded by, before its $id renamed it */
	const char *prefix;   /* of places in it: "" in the main document, else uri# */
	Value root;
	uint32 vocabularies; /* and the dialect */
} Resource;

typedef struct Anchor
{
	const char *name;
	Value node;
	const char *where;
	uint32 resource;
	bool dynamic;
} Anchor;

/* A schema found by reference. */
typedef struct Target
{
	Value node;
	const char *where;
	uint32 resource;
	const char *dynamic_name; /* the dynamic anchor it was named by, or null */
} Target;

typedef struct Compiler
{
	MemoryContext context; /* of the program, current while compiling */
	GaArena arena;         /* of what only compiling needs */
	GaSchemaLoader loader;
	void *loader_context;
	GaSchemaFault *fault;
	uint32 nesting; /* of the schema being scanned */
	Pool resources; /* Resource */
	Pool anchors;   /* Anchor */
	HTAB *known;    /* container to block */
	Pool code;
	Pool blocks;
	Pool lists;
	Pool numerics;
	Pool values;
	Pool enums;
	Pool objects;
	Pool dependents;
	Pool regexes;
} Compiler;

extern void *ga_pool_add(Pool *pool);
#define pool_item(pool, type, n) (&((type *) (pool)->items)[n])

extern bool ga_compiler_failed(const Compiler *c);
extern void ga_compiler_fail(Compiler *c, const char *where, bool unsupported, const char *message);

/* The place of member "name" below "where". */
extern const char *ga_compiler_below(const char *where, const char *name, uint32 bytes);
extern const char *ga_compiler_below_n(const char *where, uint32 n);
extern const char *ga_compiler_text(const Value *string);

/* schema_dialect.c: what $schema asks for; without one, "fallback". */
extern uint32 ga_compiler_dialect(Compiler *c, const Value *root, const char *where,
                                  uint32 fallback);
/* The document a loader knows by this URI, or null. */
extern const Jsonb *ga_compiler_load(Compiler *c, const char *uri);

/*
 * The name of a dynamic anchor at the root of this resource that $recursiveRef starts from, or
 * null.
 */
extern const char *ga_compiler_recursive(Compiler *c, uint32 resource);

/*
 * Takes a document in: its resources and anchors. base: the URI it was found by. Its root
 * resource.
 */
extern uint32 ga_compiler_add_document(Compiler *c, const Jsonb *document, const char *base,
                                       bool main_document);
/* The resource that starts at this node, or "outer". */
extern uint32 ga_compiler_resource_at(Compiler *c, const Value *node, uint32 outer);
extern void ga_compiler_resolve(Compiler *c, uint32 resource, const char *reference,
                                const char *where, Target *target);

/* What is being compiled: one object schema. */
typedef struct Frame
{
	Compiler *c;
	const Value *node;
	uint32 resource;
	uint32 vocabularies;
	const char *where;
	Pool code; /* Instruction */
} Frame;

/* The frame's helpers. Those that return bool say false after a fault. */
extern void ga_frame_emit(Frame *frame, uint32 op, uint32 a, uint32 b, uint32 rest,
                          const char *where);
extern void ga_frame_refuse(Frame *frame, const char *where, const char *message);
extern bool ga_frame_want(Frame *frame, const Value *value, ValueType type, const char *where,
                          const char *message);
extern bool ga_frame_want_list(Frame *frame, const Value *value, const char *where);
extern bool ga_frame_count(Frame *frame, const Value *value, const char *where, uint32 *count);
extern bool ga_frame_find(Frame *frame, const char *keyword, Value *value, const char **where);
extern GaRegex *ga_frame_regex(Frame *frame, const Value *pattern, const char *where);
extern Property *ga_frame_names(Frame *frame, const Value *list, const char *where, uint32 *count);
/* A subschema's block; a list of them, the first one's place in the pool of lists. */
extern uint32 ga_frame_schema(Frame *frame, const Value *value, const char *where);
extern uint32 ga_frame_schemas(Frame *frame, const Value *list, const char *where);

/* schema_compile_group.c */
extern void ga_compile_object(Frame *frame);
extern void ga_compile_items(Frame *frame);
extern void ga_compile_contains(Frame *frame);
extern void ga_compile_if(Frame *frame);

#endif /* GA_SCHEMA_COMPILER_H */
