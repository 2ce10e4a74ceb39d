/* SPDX-License-Identifier: PostgreSQL */
/*
 * openings.h: salt and text that open the commitments of entries, beside the tree. What was erased
 * has none. They are read in the order of leaves, along with the entries.
 */
#ifndef GA_VERIFY_OPENINGS_H
#define GA_VERIFY_OPENINGS_H

#include "facts.h"
#include "folder.h"

#define GA_OPENING_LINE_MAX ((size_t) 64 * 1024 * 1024)

typedef struct GaOpenings
{
	GaLineFile file;
	bool there;   /* the next one was read */
	bool invalid; /* a line is none; nothing after it is read */
	int64_t leaf;
	uint8_t salt[GA_SALT_BYTES];
	char *details;
	uint64_t opened;
} GaOpenings;

/* Without a file there are none. False: it cannot be read. */
extern bool ga_openings_open(GaOpenings *openings, int folder);
/* NULL, or what is wrong with what is here for this leaf, or what is in front of it. */
extern const char *ga_openings_check(GaOpenings *openings, int64_t leaf, const GaFacts *facts);
/* This leaf's entry is not here. */
extern void ga_openings_skip(GaOpenings *openings, int64_t leaf);
/* NULL, or what is wrong with what is left behind the last leaf. */
extern const char *ga_openings_rest(GaOpenings *openings);
extern void ga_openings_close(GaOpenings *openings);

/* A line, to be freed. NULL: out of memory, or the details are no UTF-8. */
extern char *ga_opening_line(int64_t leaf, const uint8_t salt[GA_SALT_BYTES], const char *details);

#endif
