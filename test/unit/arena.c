/* SPDX-License-Identifier: PostgreSQL */
/* arena.c: bounds, alignment and growth of the bump allocator. */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "unit.h"

static void *blocks[64];
static int block_count;

static void *
grow(void *context, size_t bytes)
{
	(void) context;
	return blocks[block_count++] = malloc(bytes);
}

static void
test_fixed(void)
{
	char block[128];
	GaArena arena;
	char *a;

	ga_arena_init(&arena, block + 1, sizeof(block) - 1);
	a = ga_arena_alloc(&arena, 10);
	CHECK(a != NULL && ((uintptr_t) a & 15) == 0);
	memset(a, 'x', 10);
	CHECK(strcmp(ga_arena_copy(&arena, "hello", 5), "hello") == 0);
	CHECK(!arena.failed);
	CHECK(ga_arena_alloc(&arena, 1000) == NULL);
	CHECK(arena.failed);
	CHECK(ga_arena_alloc(&arena, SIZE_MAX) == NULL);
	CHECK(ga_arena_alloc_array(&arena, SIZE_MAX / 2, 3) == NULL);
	CHECK(ga_arena_copy(&arena, "", SIZE_MAX) == NULL);
	CHECK(ga_arena_alloc(&arena, 1) != NULL);
}

static void
test_growing(void)
{
	GaArena arena;
	size_t total = 0;
	uint64_t random = 1;
	char *last = NULL;

	ga_arena_init_growing(&arena, grow, NULL, 100000);
	for (;;)
	{
		size_t bytes = unit_random(&random) % 3000;
		char *at = ga_arena_alloc(&arena, bytes);

		if (at == NULL)
			break;
		memset(at, 1, bytes); /* the address sanitizer watches */
		total += bytes;
		last = at;
	}
	CHECK(last != NULL && arena.failed);
	CHECK(arena.taken_bytes <= 100000);
	CHECK(total > 60000 && total <= 100000);
	for (int i = 0; i < block_count; i++)
		free(blocks[i]);
	ga_arena_init(&arena, NULL, 0);
	CHECK(ga_arena_alloc(&arena, 0) == NULL || arena.at == NULL);
}

int
main(void)
{
	test_fixed();
	test_growing();
	return unit_done();
}
