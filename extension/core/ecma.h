/* SPDX-License-Identifier: PostgreSQL */
/*
 * ecma.h: an ECMA 262 regular expression (Unicode mode, as JSON Schema means it) rewritten for
 * PCRE2.
 */
#ifndef GA_ECMA_H
#define GA_ECMA_H

#include <stddef.h>

#include "arena.h"

/*
 * The rewritten pattern, NUL-terminated, or null with *fault set. What ECMA has and PCRE2 spells
 * otherwise is translated; what PCRE2 has and ECMA has not (verbs, recursion, callouts, \K, \Q,
 * possessive and atomic groups, inline options) is refused, so that a pattern means one thing.
 */
extern char *ga_ecma_to_pcre2(GaArena *arena, const char *pattern, size_t bytes,
                              const char **fault);

#endif /* GA_ECMA_H */
