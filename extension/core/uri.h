/* SPDX-License-Identifier: PostgreSQL */
/*
 * uri.h: RFC 3986 reference resolution and RFC 6901 pieces, for $id and $ref.
 */
#ifndef GA_URI_H
#define GA_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

/*
 * The reference resolved against the base (which may be ""), without its fragment. Null: arena
 * full.
 */
extern char *ga_uri_resolve(GaArena *arena, const char *base, const char *reference);

/* The fragment (after '#'), percent-decoded; null where there is none or it is malformed. */
extern char *ga_uri_fragment(GaArena *arena, const char *reference);

extern bool ga_uri_is_absolute(const char *uri);

#endif /* GA_URI_H */
