/* SPDX-License-Identifier: PostgreSQL */
/*
 * merkle.c: see merkle.h. Leaves hash with prefix 0x00 and nodes with 0x01, so that no leaf can be
 * passed off as a node.
 */
#include "merkle.h"

#include <string.h>

#include "digest.h"

bool
ga_merkle_leaf(const void *leaf, size_t bytes, uint8_t out[GA_HASH_BYTES])
{
	const GaBytes pieces[] = {{"\x00", 1}, {leaf, bytes}};

	return ga_sha256(pieces, 2, out);
}

bool
ga_merkle_node(const uint8_t left[GA_HASH_BYTES], const uint8_t right[GA_HASH_BYTES],
               uint8_t out[GA_HASH_BYTES])
{
	const GaBytes pieces[] = {{"\x01", 1}, {left, GA_HASH_BYTES}, {right, GA_HASH_BYTES}};

	return ga_sha256(pieces, 3, out);
}

void
ga_merkle_init(GaMerkle *tree)
{
	memset(tree, 0, sizeof(*tree));
}

bool
ga_merkle_append(GaMerkle *tree, const uint8_t leaf_hash[GA_HASH_BYTES])
{
	uint8_t carry[GA_HASH_BYTES];
	int level = 0;

	/* a binary counter: each bit that is set joins the carry and clears */
	memcpy(carry, leaf_hash, GA_HASH_BYTES);
	for (; (tree->size >> level) & 1; level++)
	{
		if (!ga_merkle_node(tree->nodes[level], carry, carry))
			return false;
	}
	memcpy(tree->nodes[level], carry, GA_HASH_BYTES);
	tree->size++;
	return true;
}

bool
ga_merkle_root(const GaMerkle *tree, uint8_t out[GA_HASH_BYTES])
{
	bool started = false;

	if (tree->size == 0)
		return ga_sha256(NULL, 0, out);
	for (int level = 0; level < 64; level++)
	{
		if (((tree->size >> level) & 1) == 0)
			continue;
		if (!started)
			memcpy(out, tree->nodes[level], GA_HASH_BYTES);
		else if (!ga_merkle_node(tree->nodes[level], out, out))
			return false;
		started = true;
	}
	return true;
}

bool
ga_merkle_root_of(const uint8_t *leaf_hashes, size_t count, uint8_t out[GA_HASH_BYTES])
{
	GaMerkle tree;

	ga_merkle_init(&tree);
	for (size_t i = 0; i < count; i++)
	{
		if (!ga_merkle_append(&tree, leaf_hashes + i * GA_HASH_BYTES))
			return false;
	}
	return ga_merkle_root(&tree, out);
}
