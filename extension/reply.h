/* SPDX-License-Identifier: PostgreSQL */
/*
 * reply.h: a model's reply read as JSON: strictly, or after lossless repair.
 */
#ifndef GA_REPLY_H
#define GA_REPLY_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "json.h"

typedef struct GaReply
{
	Jsonb *value;           /* null where it was refused: then fault tells why */
	GaJsonFault fault;      /* offsets count from the reply's first byte */
	GaJsonEdit *edits;      /* what was left out, in order; null: nothing */
	const GaJsonNode *root; /* of the value */
	Size base;              /* add to the offsets of root and below */
} GaReply;

/* The text is one JSON value and nothing else. */
extern void ga_reply_strict(GaReply *reply, const char *text, Size bytes);

/*
 * As strict, but a byte order mark, one code fence, prose around, comments and trailing commas are
 * left out, each noted as an edit. Brackets are never closed, quotes never guessed. Several values
 * of a wanted kind are refused, since which one counts is a guess, unless the first is asked for.
 */
#define GA_REPLY_OBJECT 1u
#define GA_REPLY_ARRAY 2u
#define GA_REPLY_FIRST 4u
extern void ga_reply_repair(GaReply *reply, const char *raw, Size bytes, unsigned wanted);

/* Offset in the reply of the value at an RFC 6901 pointer, or of the nearest value around it. */
extern Size ga_reply_offset(const GaReply *reply, const char *pointer);

#endif /* GA_REPLY_H */
