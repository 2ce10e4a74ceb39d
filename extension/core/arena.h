/* SPDX-License-Identifier: PostgreSQL */
/*
 * arena.h: a bump allocator over memory that the caller owns.
 *
 * Two forms: over one fixed block, or over blocks that the caller's grow callback hands out (palloc
 * in a backend, malloc in the executor). Nothing is freed here; the caller drops the blocks. An
 * allocation that does not fit gives NULL and marks the arena as failed; it never aborts.
 */
#ifndef GA_ARENA_H
#define GA_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef void *(*GaArenaGrow)(void *context, size_t bytes);

typedef struct GaArena
{
	char *at;
	char *end;
	GaArenaGrow grow;
	void *context;
	size_t taken_bytes; /* from the block or from grow, so far */
	size_t limit_bytes; /* of taken_bytes */
	bool failed;
} GaArena;

extern void ga_arena_init(GaArena *arena, void *block, size_t bytes);
extern void ga_arena_init_growing(GaArena *arena, GaArenaGrow grow, void *context,
                                  size_t limit_bytes);
extern void *ga_arena_alloc(GaArena *arena, size_t bytes); /* not cleared */
extern void *ga_arena_alloc_array(GaArena *arena, size_t count, size_t each_bytes); /* cleared */
extern char *ga_arena_copy(GaArena *arena, const void *from, size_t bytes);         /* adds a NUL */

#endif /* GA_ARENA_H */
