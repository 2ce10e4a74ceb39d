/* SPDX-License-Identifier: PostgreSQL */
/*
 * heads.h: whom the user trusts, the heads that he has from elsewhere (anchors), and the lines of
 * an export's history of heads.
 */
#ifndef GA_VERIFY_HEADS_H
#define GA_VERIFY_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "folder.h"
#include "note.h"

#define GA_KEYS_MAX 1000
#define GA_ANCHORS_MAX (4 * 1000 * 1000)
#define GA_WHY_MAX 300

typedef struct GaTrust
{
	GaNoteKey *keys;
	size_t n;
} GaTrust;

typedef enum GaSigned
{
	GA_SIGNED,
	GA_SIGNED_BADLY, /* by a key that is trusted, and it does not verify */
	GA_SIGNED_BY_NOBODY,
	GA_KEY_UNKNOWN
} GaSigned;

/* A file of verifier keys, one a line; empty lines and lines with # are passed over. */
extern bool ga_trust_read(GaTrust *trust, const char *path, char why[GA_WHY_MAX]);
/*
 * Whose signature a head carries. A head's name must be its origin. any_name: a trusted key counts
 * under the head's own origin too, as it does for trees that an earlier incarnation grew. *time: of
 * the cosignature, 0 if there is none.
 */
extern GaSigned ga_trust_verify(const GaTrust *trust, const GaCheckpoint *head, bool any_name,
                                int64_t *time);
/* A head by a trusted key, whose name is another: what to tell the user. */
extern bool ga_trust_has_key_only(const GaTrust *trust, const GaCheckpoint *head);

typedef struct GaAnchor
{
	uint64_t size;
	int64_t time;
	uint8_t root[GA_HASH_BYTES];
	uint32_t origin; /* of GaAnchors.origins */
	GaSigned by;
} GaAnchor;

/* Sorted by origin and size. */
typedef struct GaAnchors
{
	GaAnchor *list;
	size_t n;
	size_t capacity;
	char (*origins)[GA_NOTE_NAME_MAX_BYTES + 1];
	size_t norigins;
} GaAnchors;

/* Notes one after the other, or lines {"note": "..."}. */
extern bool ga_anchors_read(GaAnchors *anchors, const GaTrust *trust, const char *path,
                            char why[GA_WHY_MAX]);
extern void ga_anchors_sort(GaAnchors *anchors);
/* The anchors of an origin: the first, and how many. */
extern size_t ga_anchors_of(const GaAnchors *anchors, const char *origin, size_t *count);
extern void ga_anchors_free(GaAnchors *anchors);

/* The line {"note":"..."} in its one form. NULL: it is none. Both results are to be freed. */
extern char *ga_head_line_read(const char *line);
extern char *ga_head_line_write(const char *note);

#endif
