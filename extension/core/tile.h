/* SPDX-License-Identifier: PostgreSQL */
/*
 * tile.h: the hash tree of RFC 6962 in the tiles of C2SP tlog-tiles: 256 hashes each; those of
 * level 0 are leaf hashes, each hash of level l + 1 is the root of a full tile of level l.
 *
 * GaTileEdge is the right edge of a tree that grows leaf by leaf: the tiles that are not full yet.
 * Proofs are made from tiles that a callback reads, and checked without any tile.
 */
#ifndef GA_TILE_H
#define GA_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define GA_TILE_WIDTH 256
#define GA_TILE_BYTES (GA_TILE_WIDTH * GA_HASH_BYTES)
#define GA_TILE_LEVELS 8
#define GA_TREE_SIZE_MAX ((uint64_t) INT64_MAX)
#define GA_PROOF_MAX 64 /* hashes */
#define GA_TILE_PATH_MAX_BYTES 64

typedef struct GaTileEdge
{
	uint64_t size;                                 /* leaves so far */
	uint8_t hashes[GA_TILE_LEVELS][GA_TILE_BYTES]; /* (size >> 8 * level) & 255 of each */
} GaTileEdge;

/* Called for each tile as it becomes full, in the order in which they do. False: stop, fail. */
typedef bool (*GaTakeTile)(void *context, int level, uint64_t index,
                           const uint8_t hashes[GA_TILE_BYTES]);

extern void ga_edge_init(GaTileEdge *edge);
/* False: libcrypto or take failed; the edge is then not to be used again. take may be NULL. */
extern bool ga_edge_append(GaTileEdge *edge, const uint8_t leaf_hash[GA_HASH_BYTES],
                           GaTakeTile take, void *context);
extern bool ga_edge_root(const GaTileEdge *edge, uint8_t out[GA_HASH_BYTES]);
/* The stored form: the hashes of each level, level 0 first; the size tells how many. */
extern size_t ga_edge_packed_bytes(uint64_t size);
extern void ga_edge_pack(const GaTileEdge *edge, uint8_t *out); /* ga_edge_packed_bytes(size) */
extern bool ga_edge_unpack(GaTileEdge *edge, uint64_t size, const uint8_t *data, size_t bytes);

/* How many hashes of this tile exist in a tree of this size: 0 to 256. */
extern int ga_tile_width(uint64_t size, int level, uint64_t index);
/* "tile/0/x001/x234/067.p/5"; level -1: "tile/entries/...". False when out is too short. */
extern bool ga_tile_path(int level, uint64_t index, int width, char *out, size_t capacity);

/*
 * Gives the first `width` hashes of a tile, `width` being ga_tile_width() of the size asked for: a
 * tree that has grown since may have more of them. False: it is not to be had.
 */
typedef bool (*GaReadTile)(void *context, int level, uint64_t index, int width,
                           uint8_t hashes[GA_TILE_BYTES]);

/* The root of the first `size` leaves. */
extern bool ga_tile_root(uint64_t size, GaReadTile read, void *context, uint8_t out[GA_HASH_BYTES]);
/*
 * RFC 6962 section 2.1.1 and 2.1.2. The number of hashes, or -1 (also for index >= size). From an
 * empty tree the consistency proof is empty, and holds when old_root is that of the empty tree.
 */
extern int ga_inclusion_proof(uint64_t index, uint64_t size, GaReadTile read, void *context,
                              uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES]);
extern int ga_consistency_proof(uint64_t old_size, uint64_t new_size, GaReadTile read,
                                void *context, uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES]);
extern bool ga_inclusion_holds(uint64_t index, uint64_t size,
                               const uint8_t leaf_hash[GA_HASH_BYTES],
                               const uint8_t root[GA_HASH_BYTES],
                               const uint8_t (*proof)[GA_HASH_BYTES], int count);
extern bool ga_consistency_holds(uint64_t old_size, uint64_t new_size,
                                 const uint8_t old_root[GA_HASH_BYTES],
                                 const uint8_t new_root[GA_HASH_BYTES],
                                 const uint8_t (*proof)[GA_HASH_BYTES], int count);

#endif /* GA_TILE_H */
