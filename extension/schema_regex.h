/* SPDX-License-Identifier: PostgreSQL */
/*
 * schema_regex.h: the one place that knows PCRE2. Patterns are ECMA 262, matching is bounded.
 */
#ifndef GA_SCHEMA_REGEX_H
#define GA_SCHEMA_REGEX_H

#include "postgres.h"

typedef struct GaRegex GaRegex;

typedef enum GaMatch
{
	GA_MATCH_NO,
	GA_MATCH_YES,
	GA_MATCH_UNDECIDED /* a limit was hit: never to be taken as yes */
} GaMatch;

/* In "context", with all it ever allocates; null with *fault set. */
extern GaRegex *ga_regex_compile(MemoryContext context, const char *pattern, size_t bytes,
                                 const char **fault);
/* Whether this is a pattern of ECMA 262, also where it is one that cannot be compiled here. */
extern bool ga_regex_is_pattern(const char *pattern, size_t bytes);
extern GaMatch ga_regex_match(GaRegex *regex, const char *text, size_t bytes);

#endif /* GA_SCHEMA_REGEX_H */
