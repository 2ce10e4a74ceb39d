/* SPDX-License-Identifier: PostgreSQL */
/*
 * tile.c: see tile.h. Every hash of the tree is that of a range of leaves, and a range that occurs
 * in a root or a proof falls into perfect subtrees, each of which lies within one tile: so all of
 * them are joined from the right, smallest subtree first, which also keeps to one tile at a time.
 */
#include "tile.h"

#include <stdio.h>
#include <string.h>

#include "digest.h"
#include "merkle.h"

/* A tile that was just read: neighbours in a proof often share one. */
typedef struct TileSource
{
	uint64_t size;
	GaReadTile read;
	void *context;
	int level; /* -1: none yet */
	uint64_t index;
	int width;
	uint8_t hashes[GA_TILE_BYTES];
} TileSource;

typedef struct LeafRange
{
	uint64_t from;
	uint64_t to;
} LeafRange;

/* The root over count hashes, a power of two. */
static bool
perfect_root(const uint8_t *hashes, int count, uint8_t out[GA_HASH_BYTES])
{
	uint8_t level[GA_TILE_BYTES / 2];
	const uint8_t *from = hashes;

	for (; count > 1; count /= 2)
	{
		for (int i = 0; i < count / 2; i++)
		{
			const uint8_t *pair = from + 2 * i * GA_HASH_BYTES;

			if (!ga_merkle_node(pair, pair + GA_HASH_BYTES, level + i * GA_HASH_BYTES))
				return false;
		}
		from = level;
	}
	memmove(out, from, GA_HASH_BYTES);
	return true;
}

/* Joins `width` hashes of one level to what lies on their right, if anything does yet. */
static bool
join_left(const uint8_t *hashes, int width, bool *started, uint8_t root[GA_HASH_BYTES])
{
	uint8_t left[GA_HASH_BYTES];

	while (width > 0)
	{
		int count = width & -width;

		width -= count;
		if (!perfect_root(hashes + width * GA_HASH_BYTES, count, left))
			return false;
		if (!*started)
			memcpy(root, left, GA_HASH_BYTES);
		else if (!ga_merkle_node(left, root, root))
			return false;
		*started = true;
	}
	return true;
}

static int
edge_width(uint64_t size, int level)
{
	return (int) (size >> (8 * level) & (GA_TILE_WIDTH - 1));
}

void
ga_edge_init(GaTileEdge *edge)
{
	memset(edge, 0, sizeof(*edge));
}

bool
ga_edge_append(GaTileEdge *edge, const uint8_t leaf_hash[GA_HASH_BYTES], GaTakeTile take,
               void *context)
{
	uint8_t carry[GA_HASH_BYTES];

	if (edge->size >= GA_TREE_SIZE_MAX)
		return false;
	memcpy(carry, leaf_hash, GA_HASH_BYTES);
	for (int level = 0; level < GA_TILE_LEVELS; level++)
	{
		int width = edge_width(edge->size, level);
		uint64_t index = edge->size >> (8 * level) >> 8;

		memcpy(edge->hashes[level] + width * GA_HASH_BYTES, carry, GA_HASH_BYTES);
		if (width < GA_TILE_WIDTH - 1)
			break;
		if (!perfect_root(edge->hashes[level], GA_TILE_WIDTH, carry) ||
		    (take != NULL && !take(context, level, index, edge->hashes[level])))
			return false;
	}
	edge->size++;
	return true;
}

bool
ga_edge_root(const GaTileEdge *edge, uint8_t out[GA_HASH_BYTES])
{
	bool started = false;

	if (edge->size == 0)
		return ga_sha256(NULL, 0, out);
	for (int level = 0; level < GA_TILE_LEVELS; level++)
	{
		if (!join_left(edge->hashes[level], edge_width(edge->size, level), &started, out))
			return false;
	}
	return true;
}

size_t
ga_edge_packed_bytes(uint64_t size)
{
	size_t count = 0;

	for (int level = 0; level < GA_TILE_LEVELS; level++)
		count += (size_t) edge_width(size, level);
	return count * GA_HASH_BYTES;
}

void
ga_edge_pack(const GaTileEdge *edge, uint8_t *out)
{
	for (int level = 0; level < GA_TILE_LEVELS; level++)
	{
		size_t bytes = (size_t) edge_width(edge->size, level) * GA_HASH_BYTES;

		memcpy(out, edge->hashes[level], bytes);
		out += bytes;
	}
}

bool
ga_edge_unpack(GaTileEdge *edge, uint64_t size, const uint8_t *data, size_t bytes)
{
	ga_edge_init(edge);
	if (size > GA_TREE_SIZE_MAX || bytes != ga_edge_packed_bytes(size))
		return false;
	edge->size = size;
	for (int level = 0; level < GA_TILE_LEVELS; level++)
	{
		size_t part = (size_t) edge_width(size, level) * GA_HASH_BYTES;

		if (part > 0)
			memcpy(edge->hashes[level], data, part);
		data += part;
	}
	return true;
}

int
ga_tile_width(uint64_t size, int level, uint64_t index)
{
	uint64_t full;

	if (level < 0 || level >= GA_TILE_LEVELS)
		return 0;
	full = size >> (8 * level) >> 8;
	if (index < full)
		return GA_TILE_WIDTH;
	return index == full ? edge_width(size, level) : 0;
}

bool
ga_tile_path(int level, uint64_t index, int width, char *out, size_t capacity)
{
	char text[GA_TILE_PATH_MAX_BYTES];
	int at;
	int groups = 0;

	if (level < -1 || level > 63 || width < 1 || width > GA_TILE_WIDTH)
		return false;
	if (level < 0)
		at = snprintf(text, sizeof(text), "tile/entries");
	else
		at = snprintf(text, sizeof(text), "tile/%d", level);
	for (uint64_t rest = index / 1000; rest > 0; rest /= 1000)
		groups++;
	for (; groups >= 0; groups--)
	{
		uint64_t group = index;

		for (int i = 0; i < groups; i++)
			group /= 1000;
		at += snprintf(text + at, sizeof(text) - (size_t) at, groups > 0 ? "/x%03d" : "/%03d",
		               (int) (group % 1000));
	}
	if (width < GA_TILE_WIDTH)
		at += snprintf(text + at, sizeof(text) - (size_t) at, ".p/%d", width);
	if ((size_t) at >= capacity)
		return false;
	memcpy(out, text, (size_t) at + 1);
	return true;
}

static bool
read_tile(TileSource *source, int level, uint64_t index, int width)
{
	if (source->level == level && source->index == index && source->width >= width)
		return true;
	source->level = -1;
	if (!source->read(source->context, level, index, width, source->hashes))
		return false;
	source->level = level;
	source->index = index;
	source->width = width;
	return true;
}

/* The root of leaves [i * 2^height, (i + 1) * 2^height), all of which exist. */
static bool
subtree_root(TileSource *source, int height, uint64_t i, uint8_t out[GA_HASH_BYTES])
{
	int level = height / 8;
	uint64_t first = i << (height % 8);
	uint64_t index = first >> 8;

	if (!read_tile(source, level, index, ga_tile_width(source->size, level, index)))
		return false;
	return perfect_root(source->hashes + (first & 255) * GA_HASH_BYTES, 1 << (height % 8), out);
}

/* The root of a range as RFC 6962 splits off: its start divides by the largest power within. */
static bool
range_root(TileSource *source, LeafRange range, uint8_t out[GA_HASH_BYTES])
{
	uint8_t left[GA_HASH_BYTES];
	bool started = false;

	while (range.to > range.from)
	{
		int height = __builtin_ctzll(range.to - range.from);

		range.to -= UINT64_C(1) << height;
		if (!subtree_root(source, height, range.to >> height, started ? left : out))
			return false;
		if (started && !ga_merkle_node(left, out, out))
			return false;
		started = true;
	}
	return started;
}

static void
source_init(TileSource *source, uint64_t size, GaReadTile read, void *context)
{
	source->size = size;
	source->read = read;
	source->context = context;
	source->level = -1;
	source->index = 0;
	source->width = 0;
}

bool
ga_tile_root(uint64_t size, GaReadTile read, void *context, uint8_t out[GA_HASH_BYTES])
{
	TileSource source;

	if (size > GA_TREE_SIZE_MAX)
		return false;
	if (size == 0)
		return ga_sha256(NULL, 0, out);
	source_init(&source, size, read, context);
	return range_root(&source, (LeafRange){0, size}, out);
}

/* The largest power of two that is smaller than n, n > 1. */
static uint64_t
split_of(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* Keeps the half of a range, as RFC 6962 splits it, that a leaf is in; gives the other one. */
static LeafRange
halve(LeafRange *in, uint64_t leaf)
{
	uint64_t middle = in->from + split_of(in->to - in->from);
	LeafRange other = {in->from, middle};

	if (leaf < middle)
	{
		other = (LeafRange){middle, in->to};
		in->to = middle;
	}
	else
		in->from = middle;
	return other;
}

/* The ranges were noted from the root down; a proof has them from the bottom up. */
static int
emit_ranges(TileSource *source, const LeafRange *ranges, int count,
            uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES])
{
	for (int i = 0; i < count; i++)
	{
		if (!range_root(source, ranges[count - 1 - i], proof[i]))
			return -1;
	}
	return count;
}

int
ga_inclusion_proof(uint64_t index, uint64_t size, GaReadTile read, void *context,
                   uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES])
{
	TileSource source;
	LeafRange ranges[GA_PROOF_MAX];
	LeafRange in = {0, size};
	int count = 0;

	if (index >= size || size > GA_TREE_SIZE_MAX)
		return -1;
	while (in.to - in.from > 1)
		ranges[count++] = halve(&in, index);
	source_init(&source, size, read, context);
	return emit_ranges(&source, ranges, count, proof);
}

int
ga_consistency_proof(uint64_t old_size, uint64_t new_size, GaReadTile read, void *context,
                     uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES])
{
	TileSource source;
	LeafRange ranges[GA_PROOF_MAX];
	LeafRange in = {0, new_size};
	int count = 0;

	if (old_size > new_size || new_size > GA_TREE_SIZE_MAX)
		return -1;
	if (old_size == 0)
		return 0;
	while (old_size < in.to)
		ranges[count++] = halve(&in, old_size - 1);
	/* what is left ends where the old tree did; if it is all of that tree, its root is known */
	if (in.from > 0)
		ranges[count++] = in;
	source_init(&source, new_size, read, context);
	return emit_ranges(&source, ranges, count, proof);
}

/* Up to the next level at which the node has a left sibling, or to the top. */
static void
climb(uint64_t *node, uint64_t *last)
{
	while ((*node & 1) == 0 && *node != 0)
	{
		*node >>= 1;
		*last >>= 1;
	}
}

bool
ga_inclusion_holds(uint64_t index, uint64_t size, const uint8_t leaf_hash[GA_HASH_BYTES],
                   const uint8_t root[GA_HASH_BYTES], const uint8_t (*proof)[GA_HASH_BYTES],
                   int count)
{
	uint8_t hash[GA_HASH_BYTES];
	uint64_t node = index;
	uint64_t last = size - 1;

	if (index >= size || count < 0 || count > GA_PROOF_MAX)
		return false;
	memcpy(hash, leaf_hash, GA_HASH_BYTES);
	for (int i = 0; i < count; i++)
	{
		bool from_left = (node & 1) == 1 || node == last;

		if (last == 0 ||
		    !ga_merkle_node(from_left ? proof[i] : hash, from_left ? hash : proof[i], hash))
			return false;
		if (from_left)
			climb(&node, &last);
		node >>= 1;
		last >>= 1;
	}
	return last == 0 && memcmp(hash, root, GA_HASH_BYTES) == 0;
}

static bool
consistency_walk(uint64_t node, uint64_t last, uint8_t old_hash[GA_HASH_BYTES],
                 uint8_t new_hash[GA_HASH_BYTES], const uint8_t (*proof)[GA_HASH_BYTES], int count)
{
	for (int i = 0; i < count; i++)
	{
		if (last == 0)
			return false;
		if ((node & 1) == 1 || node == last)
		{
			if (!ga_merkle_node(proof[i], old_hash, old_hash) ||
			    !ga_merkle_node(proof[i], new_hash, new_hash))
				return false;
			climb(&node, &last);
		}
		else if (!ga_merkle_node(new_hash, proof[i], new_hash))
			return false;
		node >>= 1;
		last >>= 1;
	}
	return last == 0;
}

bool
ga_consistency_holds(uint64_t old_size, uint64_t new_size, const uint8_t old_root[GA_HASH_BYTES],
                     const uint8_t new_root[GA_HASH_BYTES], const uint8_t (*proof)[GA_HASH_BYTES],
                     int count)
{
	uint8_t old_hash[GA_HASH_BYTES];
	uint8_t new_hash[GA_HASH_BYTES];
	uint64_t node = old_size - 1;
	uint64_t last = new_size - 1;
	bool whole; /* the old tree is a subtree of the new one: its root begins the walk */

	if (old_size > new_size || count < 0 || count > GA_PROOF_MAX)
		return false;
	if (old_size == 0)
		return count == 0 && ga_sha256(NULL, 0, old_hash) &&
		       memcmp(old_hash, old_root, GA_HASH_BYTES) == 0;
	if (old_size == new_size)
		return count == 0 && memcmp(old_root, new_root, GA_HASH_BYTES) == 0;
	whole = (old_size & (old_size - 1)) == 0;
	if (count < 1)
		return false;
	while ((node & 1) == 1)
	{
		node >>= 1;
		last >>= 1;
	}
	memcpy(old_hash, whole ? old_root : proof[0], GA_HASH_BYTES);
	memcpy(new_hash, old_hash, GA_HASH_BYTES);
	if (!consistency_walk(node, last, old_hash, new_hash, whole ? proof : proof + 1,
	                      whole ? count : count - 1))
		return false;
	return memcmp(old_hash, old_root, GA_HASH_BYTES) == 0 &&
	       memcmp(new_hash, new_root, GA_HASH_BYTES) == 0;
}
