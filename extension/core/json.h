/* SPDX-License-Identifier: PostgreSQL */
/*
 * json.h: a strict JSON reader (RFC 8259 on UTF-8) into a tree of nodes in the caller's arena.
 *
 * What is ambiguous between readers is an error here: duplicate member names (compared after
 * unescaping), lone surrogates, \u0000, raw control characters, invalid UTF-8, NaN, bytes after the
 * value; and so is what costs too much: depth, size, count, digits, exponents. An error names its
 * byte offset and the JSON Pointer of the value it stands in. No recursion, linear but for sorting
 * the keys of an object.
 *
 *	GaJsonFault fault;
 *	const GaJsonNode *root = ga_json_parse(&arena, text, bytes, &ga_json_default_limits, 0, &fault);
 *	const GaJsonNode *alg = root ? ga_json_member(root, "alg") : NULL;   -- null where absent
 */
#ifndef GA_JSON_H
#define GA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

typedef enum GaJsonType
{
	GA_JSON_NULL,
	GA_JSON_FALSE,
	GA_JSON_TRUE,
	GA_JSON_NUMBER,
	GA_JSON_STRING,
	GA_JSON_ARRAY,
	GA_JSON_OBJECT
} GaJsonType;

typedef struct GaJsonNode
{
	GaJsonType type;
	uint32_t offset;    /* of the value's first byte in the text */
	uint32_t end;       /* past its last byte */
	uint32_t count;     /* elements or members */
	uint32_t bytes;     /* of text */
	uint32_t key_bytes; /* of key */
	const char *text;   /* string: unescaped, NUL-terminated; number: as written, not terminated */
	const char *key;    /* member of an object: unescaped name, NUL-terminated; else null */
	struct GaJsonNode *child; /* first element or member */
	struct GaJsonNode *next;  /* next element or member */
} GaJsonNode;

typedef struct GaJsonLimits
{
	size_t bytes_max;
	uint32_t depth_max; /* containers inside one another; a scalar has depth 0 */
	uint32_t values_max;
	uint32_t string_max_bytes; /* of one string or name, unescaped */
	uint32_t digits_max;       /* of one number, without its exponent */
	uint32_t exponent_max;     /* absolute value */
} GaJsonLimits;

extern const GaJsonLimits ga_json_default_limits;

/* What a lossless repair may skip; each thing skipped is an edit. Zero: strict. */
#define GA_JSON_COMMENTS 1u       /* // to the end of the line, and block comments */
#define GA_JSON_TRAILING_COMMA 2u /* one comma before a closing bracket */
#define GA_JSON_PREFIX 4u         /* stop after the first value; its node's end says where */

typedef struct GaJsonEdit
{
	const char *kind; /* comment, trailing_comma */
	uint32_t offset;
	uint32_t bytes;
	struct GaJsonEdit *next; /* in the order of their offsets */
} GaJsonEdit;

typedef struct GaJsonFault
{
	const char *code;    /* stable: syntax, duplicate_key, depth, ...; null: no fault */
	const char *message; /* for people */
	size_t offset;       /* of the byte that is wrong */
	const char *pointer; /* RFC 6901, of the value that holds the fault; in the arena */
	bool object_begun;   /* a member name and its colon had been read */
	bool truncated;      /* the text ended too early */
	GaJsonEdit *edits;   /* what was skipped, also without a fault */
} GaJsonFault;

/* Null with *fault set, or the root. The text need not be terminated. */
extern GaJsonNode *ga_json_parse(GaArena *arena, const char *text, size_t bytes,
                                 const GaJsonLimits *limits, unsigned flags, GaJsonFault *fault);

/* Member of an object by name; null where it is absent or the node is not an object. */
extern const GaJsonNode *ga_json_member(const GaJsonNode *object, const char *name);

/*
 * The string's text when the node is a string without a NUL inside, else null. Null in, null
 * out.
 */
extern const char *ga_json_string(const GaJsonNode *node);

#endif /* GA_JSON_H */
