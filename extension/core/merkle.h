/* SPDX-License-Identifier: PostgreSQL */
/*
 * merkle.h: the hash tree of RFC 6962 (section 2.1): leaf and node hashes, and the root of a batch.
 *
 * GaMerkle is the frontier of a tree that grows leaf by leaf: at most 64 hashes, whatever its size.
 * Every function gives false only when libcrypto does.
 */
#ifndef GA_MERKLE_H
#define GA_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

typedef struct GaMerkle
{
	uint64_t size;                    /* leaves so far */
	uint8_t nodes[64][GA_HASH_BYTES]; /* one perfect subtree for each bit set in size */
} GaMerkle;

extern bool ga_merkle_leaf(const void *leaf, size_t bytes, uint8_t out[GA_HASH_BYTES]);
extern bool ga_merkle_node(const uint8_t left[GA_HASH_BYTES], const uint8_t right[GA_HASH_BYTES],
                           uint8_t out[GA_HASH_BYTES]);

extern void ga_merkle_init(GaMerkle *tree);
extern bool ga_merkle_append(GaMerkle *tree, const uint8_t leaf_hash[GA_HASH_BYTES]);
extern bool ga_merkle_root(const GaMerkle *tree, uint8_t out[GA_HASH_BYTES]);

/* The root over `count` leaf hashes that lie one after the other; count 0 is the empty tree. */
extern bool ga_merkle_root_of(const uint8_t *leaf_hashes, size_t count, uint8_t out[GA_HASH_BYTES]);

#endif /* GA_MERKLE_H */
