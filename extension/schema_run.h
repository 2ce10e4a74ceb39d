/* SPDX-License-Identifier: PostgreSQL */
/*
 * schema_run.h: what the two halves of the evaluator share. schema_run.c walks schemas and
 * containers; schema_check.c judges one value at a time and tells of failures.
 */
#ifndef GA_SCHEMA_RUN_H
#define GA_SCHEMA_RUN_H

#include "postgres.h"

#include "limits.h"
#include "schema_program.h"

/* Where in the instance. name null: an element of an array. */
typedef struct Path
{
	const struct Path *up;
	const char *name;
	uint32 bytes;
	uint32 index;
} Path;

/* The resources entered on the way, the innermost first. */
typedef struct Scope
{
	const struct Scope *up;
	uint32 resource;
} Scope;

/* Which children of one container have been evaluated. */
typedef struct Seen
{
	uint32 words;
	uint64 bits[FLEXIBLE_ARRAY_MEMBER];
} Seen;

typedef struct Run
{
	const GaSchema *program;
	GaSchemaErrors *errors; /* null: only the verdict counts */
	MemoryContext results;
	const Scope *scope;
	uint32 depth;
	uint64 steps;
	const char *stopped; /* the bound that was hit */
} Run;

extern void ga_run_tell(Run *run, const Path *path, const char *where, const char *keyword,
                        const char *message);
/* A property's name, cut to what a message should hold. */
extern const char *ga_run_shown(const char *name, uint32 bytes);
/* A bound was hit. Returns false. */
extern bool ga_run_stop(Run *run, const char *why);
/* An instruction that looks at the value alone. */
extern bool ga_run_scalar(Run *run, const Instruction *ins, const Value *value, const Path *path);

/* Returns false, and says why where somebody listens. */
#define FAIL(run, ins, path, ...)                                                                  \
	do                                                                                             \
	{                                                                                              \
		if ((run)->errors != NULL)                                                                 \
			ga_run_tell((run), (path), (ins)->where, ga_schema_keyword(ins),                       \
			            (run)->errors->count < GA_SCHEMA_ERRORS_MAX ? psprintf(__VA_ARGS__) : ""); \
		return false;                                                                              \
	} while (0)

#endif /* GA_SCHEMA_RUN_H */
