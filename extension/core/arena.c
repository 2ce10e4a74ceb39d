/* SPDX-License-Identifier: PostgreSQL */
/*
 * arena.c: see arena.h. Every result is aligned to 16 bytes; sizes are checked before they are
 * added, so that no length a caller was given by a stranger can wrap around.
 */
#include "arena.h"

#include <stdint.h>
#include <string.h>

#define ALIGN_BYTES 16
#define GROW_MIN_BYTES 8192

void
ga_arena_init(GaArena *arena, void *block, size_t bytes)
{
	memset(arena, 0, sizeof(*arena));
	arena->at = block;
	arena->end = (char *) block + bytes;
	arena->taken_bytes = bytes;
	arena->limit_bytes = bytes;
}

void
ga_arena_init_growing(GaArena *arena, GaArenaGrow grow, void *context, size_t limit_bytes)
{
	memset(arena, 0, sizeof(*arena));
	arena->grow = grow;
	arena->context = context;
	arena->limit_bytes = limit_bytes;
}

static bool
arena_extend(GaArena *arena, size_t bytes)
{
	size_t want = bytes < GROW_MIN_BYTES ? GROW_MIN_BYTES : bytes;
	size_t left = arena->limit_bytes - arena->taken_bytes;
	char *block;

	if (want > left)
		want = left;
	if (arena->grow == NULL || want < bytes)
		return false;
	block = arena->grow(arena->context, want);
	if (block == NULL)
		return false;
	arena->at = block;
	arena->end = block + want;
	arena->taken_bytes += want;
	return true;
}

static size_t
arena_padding(const GaArena *arena)
{
	return (size_t) (-(uintptr_t) arena->at) & (ALIGN_BYTES - 1);
}

void *
ga_arena_alloc(GaArena *arena, size_t bytes)
{
	size_t room = (size_t) (arena->end - arena->at);
	size_t padding = arena_padding(arena);
	char *result;

	if (padding > room || bytes > room - padding)
	{
		/* a grown block may start anywhere, hence room for the padding too */
		if (bytes > SIZE_MAX - ALIGN_BYTES || !arena_extend(arena, bytes + ALIGN_BYTES))
		{
			arena->failed = true;
			return NULL;
		}
		padding = arena_padding(arena);
	}
	result = arena->at + padding;
	arena->at = result + bytes;
	return result;
}

void *
ga_arena_alloc_array(GaArena *arena, size_t count, size_t each_bytes)
{
	size_t bytes;
	void *result;

	if (__builtin_mul_overflow(count, each_bytes, &bytes))
	{
		arena->failed = true;
		return NULL;
	}
	result = ga_arena_alloc(arena, bytes);
	if (result != NULL)
		memset(result, 0, bytes);
	return result;
}

char *
ga_arena_copy(GaArena *arena, const void *from, size_t bytes)
{
	char *result = bytes < SIZE_MAX ? ga_arena_alloc(arena, bytes + 1) : NULL;

	if (result == NULL)
	{
		arena->failed = true;
		return NULL;
	}
	if (bytes > 0)
		memcpy(result, from, bytes);
	result[bytes] = '\0';
	return result;
}
