/* SPDX-License-Identifier: PostgreSQL */
/*
 * tile.c: tiles, roots and proofs against the recursive definitions of RFC 6962 section 2.1, over
 * every small size and samples of large ones.
 */
#include "tile.h"

#include <stdlib.h>

#include "digest.h"
#include "merkle.h"
#include "unit.h"

#define LEAVES 66600
#define TILES_MAX 300

typedef uint8_t Hash[GA_HASH_BYTES];

static Hash leaves[LEAVES];

/* full tiles as they were taken, and the edge that holds the rest */
typedef struct Store
{
	uint8_t level0[TILES_MAX][GA_TILE_BYTES];
	uint8_t level1[2][GA_TILE_BYTES];
	int ntaken[2];
	GaTileEdge edge;
	int reads;
} Store;

static Store store;

static size_t
split(size_t n)
{
	size_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

static void
definition_root(const Hash *d, size_t n, Hash out)
{
	Hash left;
	Hash right;

	if (n == 1)
	{
		memcpy(out, d[0], GA_HASH_BYTES);
		return;
	}
	definition_root(d, split(n), left);
	definition_root(d + split(n), n - split(n), right);
	if (!ga_merkle_node(left, right, out))
		abort();
}

static int
definition_path(size_t m, const Hash *d, size_t n, Hash *out)
{
	size_t k;
	int count;

	if (n == 1)
		return 0;
	k = split(n);
	if (m < k)
	{
		count = definition_path(m, d, k, out);
		definition_root(d + k, n - k, out[count]);
	}
	else
	{
		count = definition_path(m - k, d + k, n - k, out);
		definition_root(d, k, out[count]);
	}
	return count + 1;
}

static int
definition_subproof(size_t m, const Hash *d, size_t n, bool known, Hash *out)
{
	size_t k;
	int count;

	if (m == n)
	{
		if (!known)
			definition_root(d, n, out[0]);
		return known ? 0 : 1;
	}
	k = split(n);
	if (m <= k)
	{
		count = definition_subproof(m, d, k, known, out);
		definition_root(d + k, n - k, out[count]);
	}
	else
	{
		count = definition_subproof(m - k, d + k, n - k, false, out);
		definition_root(d, k, out[count]);
	}
	return count + 1;
}

static bool
take(void *context, int level, uint64_t index, const uint8_t hashes[GA_TILE_BYTES])
{
	Store *to = context;

	if (level > 1 || index != (uint64_t) to->ntaken[level])
		return false;
	memcpy(level == 0 ? to->level0[index] : to->level1[index], hashes, GA_TILE_BYTES);
	to->ntaken[level]++;
	return true;
}

static bool
refuse(void *context, int level, uint64_t index, const uint8_t hashes[GA_TILE_BYTES])
{
	(void) context;
	(void) level;
	(void) index;
	(void) hashes;
	return false;
}

/* the whole store, whatever the size asked for: what lies beyond it must not be looked at */
static bool
read_store(void *context, int level, uint64_t index, int width, uint8_t hashes[GA_TILE_BYTES])
{
	Store *from = context;
	const uint8_t *tile = from->edge.hashes[level];

	from->reads++;
	if (level < 2 && index < (uint64_t) from->ntaken[level])
		tile = level == 0 ? from->level0[index] : from->level1[index];
	else if (index != from->edge.size >> (8 * level) >> 8)
		return false;
	memset(hashes, 0xee, GA_TILE_BYTES);
	memcpy(hashes, tile, (size_t) width * GA_HASH_BYTES);
	return true;
}

static bool
read_nothing(void *context, int level, uint64_t index, int width, uint8_t hashes[GA_TILE_BYTES])
{
	(void) context;
	(void) level;
	(void) index;
	(void) width;
	(void) hashes;
	return false;
}

static bool
compared(size_t n)
{
	return n <= 600 || (n >= 65530 && n <= 65545) || n == LEAVES;
}

static void
grow(void)
{
	Hash wanted;
	Hash got;
	GaTileEdge again;
	uint8_t *packed = malloc(GA_TILE_LEVELS * GA_TILE_BYTES);

	ga_edge_init(&store.edge);
	CHECK(ga_edge_root(&store.edge, got) && ga_sha256(NULL, 0, wanted));
	CHECK(memcmp(got, wanted, GA_HASH_BYTES) == 0);
	for (size_t n = 1; n <= LEAVES; n++)
	{
		if (!ga_edge_append(&store.edge, leaves[n - 1], take, &store))
			abort();
		if (!compared(n))
			continue;
		definition_root(leaves, n, wanted);
		CHECK(ga_edge_root(&store.edge, got) && memcmp(got, wanted, GA_HASH_BYTES) == 0);
		CHECK(ga_tile_root(n, read_store, &store, got));
		CHECK(memcmp(got, wanted, GA_HASH_BYTES) == 0);
		ga_edge_pack(&store.edge, packed);
		CHECK(ga_edge_unpack(&again, n, packed, ga_edge_packed_bytes(n)));
		CHECK(ga_edge_root(&again, got) && memcmp(got, wanted, GA_HASH_BYTES) == 0);
		CHECK(!ga_edge_unpack(&again, n, packed, ga_edge_packed_bytes(n) + 32));
	}
	CHECK_INT(store.ntaken[0], LEAVES / 256);
	CHECK_INT(store.ntaken[1], 1);
	CHECK(!ga_edge_unpack(&again, UINT64_MAX, packed, ga_edge_packed_bytes(UINT64_MAX)));
	free(packed);
}

static void
check_inclusion(size_t m, size_t n)
{
	uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES];
	Hash wanted[GA_PROOF_MAX];
	Hash root;
	int count = ga_inclusion_proof(m, n, read_store, &store, proof);
	bool same;

	definition_root(leaves, n, root);
	same = count == definition_path(m, leaves, n, wanted) &&
	       memcmp(proof, wanted, (size_t) count * GA_HASH_BYTES) == 0;
	CHECK(same);
	if (!same)
		return;
	CHECK(ga_inclusion_holds(m, n, leaves[m], root, (const Hash *) proof, count));
	CHECK(!ga_inclusion_holds(m, n, leaves[m ^ 1], root, (const Hash *) proof, count));
	CHECK(m == 0 || !ga_inclusion_holds(m - 1, n, leaves[m], root, (const Hash *) proof, count));
	CHECK(!ga_inclusion_holds(m, n, leaves[m], leaves[n], (const Hash *) proof, count));
	if (count == 0)
		return;
	CHECK(!ga_inclusion_holds(m, n, leaves[m], root, (const Hash *) proof, count - 1));
	proof[count / 2][7] ^= 1;
	CHECK(!ga_inclusion_holds(m, n, leaves[m], root, (const Hash *) proof, count));
}

static void
check_consistency(size_t m, size_t n)
{
	uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES];
	Hash wanted[GA_PROOF_MAX];
	Hash old_root;
	Hash new_root;
	int count = ga_consistency_proof(m, n, read_store, &store, proof);
	bool same;

	definition_root(leaves, m, old_root);
	definition_root(leaves, n, new_root);
	same = count == definition_subproof(m, leaves, n, true, wanted) &&
	       memcmp(proof, wanted, (size_t) count * GA_HASH_BYTES) == 0;
	CHECK(same);
	if (!same)
		return;
	CHECK(ga_consistency_holds(m, n, old_root, new_root, (const Hash *) proof, count));
	CHECK(!ga_consistency_holds(m, n, leaves[m], new_root, (const Hash *) proof, count));
	CHECK(!ga_consistency_holds(m, n, old_root, leaves[n], (const Hash *) proof, count));
	CHECK(m == n || !ga_consistency_holds(n, m, new_root, old_root, (const Hash *) proof, count));
	if (count == 0)
		return;
	CHECK(!ga_consistency_holds(m, n, old_root, new_root, (const Hash *) proof, count - 1));
	proof[count / 2][7] ^= 1;
	CHECK(!ga_consistency_holds(m, n, old_root, new_root, (const Hash *) proof, count));
}

static void
check_proofs(void)
{
	uint8_t proof[GA_PROOF_MAX][GA_HASH_BYTES];
	uint64_t random = 1;
	Hash empty;

	for (size_t n = 1; n <= 130; n++)
	{
		for (size_t m = 0; m < n; m++)
		{
			check_inclusion(m, n);
			check_consistency(m + 1, n);
		}
	}
	for (int i = 0; i < 60; i++)
	{
		size_t n = 1 + (size_t) (unit_random(&random) % (LEAVES - 1));
		size_t m = (size_t) (unit_random(&random) % n);

		check_inclusion(m, n);
		check_consistency(m + 1, n);
	}
	check_inclusion(65535, 65536);
	check_inclusion(65536, 65537);
	check_consistency(65536, 65537);
	store.reads = 0;
	check_inclusion(300, LEAVES - 1);
	CHECK(store.reads <= 8);

	CHECK_INT(ga_inclusion_proof(5, 5, read_store, &store, proof), -1);
	CHECK_INT(ga_inclusion_proof(0, 0, read_store, &store, proof), -1);
	CHECK_INT(ga_inclusion_proof(0, 300, read_nothing, NULL, proof), -1);
	CHECK_INT(ga_inclusion_proof(0, UINT64_MAX, read_store, &store, proof), -1);
	CHECK_INT(ga_consistency_proof(6, 5, read_store, &store, proof), -1);
	CHECK_INT(ga_consistency_proof(3, 300, read_nothing, NULL, proof), -1);
	CHECK_INT(ga_consistency_proof(0, 5, read_store, &store, proof), 0);
	CHECK(ga_sha256(NULL, 0, empty));
	CHECK(ga_consistency_holds(0, 5, empty, leaves[3], (const Hash *) proof, 0));
	CHECK(!ga_consistency_holds(0, 5, leaves[2], leaves[3], (const Hash *) proof, 0));
	CHECK(!ga_inclusion_holds(0, 0, empty, empty, (const Hash *) proof, 0));
	CHECK(!ga_inclusion_holds(0, 1, empty, empty, (const Hash *) proof, -1));
	CHECK(!ga_consistency_holds(1, 2, empty, empty, (const Hash *) proof, GA_PROOF_MAX + 1));
}

static void
check_path(int level, uint64_t index, int width, const char *wanted)
{
	char path[GA_TILE_PATH_MAX_BYTES];

	CHECK(ga_tile_path(level, index, width, path, sizeof(path)) && strcmp(path, wanted) == 0);
	CHECK(ga_tile_path(level, index, width, path, strlen(wanted) + 1));
	CHECK(!ga_tile_path(level, index, width, path, strlen(wanted)));
}

static void
check_names(void)
{
	char path[GA_TILE_PATH_MAX_BYTES];

	check_path(0, 0, 256, "tile/0/000");
	check_path(0, 999, 1, "tile/0/999.p/1");
	check_path(1, 1000, 255, "tile/1/x001/000.p/255");
	check_path(0, 1234067, 256, "tile/0/x001/x234/067");
	check_path(-1, 1234067, 7, "tile/entries/x001/x234/067.p/7");
	check_path(63, UINT64_MAX, 255, "tile/63/x018/x446/x744/x073/x709/x551/615.p/255");
	CHECK(!ga_tile_path(0, 0, 0, path, sizeof(path)));
	CHECK(!ga_tile_path(0, 0, 257, path, sizeof(path)));
	CHECK(!ga_tile_path(-2, 0, 1, path, sizeof(path)));
	CHECK(!ga_tile_path(64, 0, 1, path, sizeof(path)));

	/* the example of tlog-tiles */
	CHECK_INT(ga_tile_width(70000, 0, 272), 256);
	CHECK_INT(ga_tile_width(70000, 0, 273), 112);
	CHECK_INT(ga_tile_width(70000, 0, 274), 0);
	CHECK_INT(ga_tile_width(70000, 1, 0), 256);
	CHECK_INT(ga_tile_width(70000, 1, 1), 17);
	CHECK_INT(ga_tile_width(70000, 2, 0), 1);
	CHECK_INT(ga_tile_width(70000, 3, 0), 0);
	CHECK_INT(ga_tile_width(256, 0, 1), 0);
	CHECK_INT(ga_tile_width(256, 1, 0), 1);
	CHECK_INT(ga_tile_width(256, -1, 0), 0);
	CHECK_INT(ga_tile_width(256, 8, 0), 0);
}

static void
check_limits(void)
{
	static GaTileEdge edge;

	ga_edge_init(&edge);
	edge.size = 255;
	CHECK(!ga_edge_append(&edge, leaves[0], refuse, NULL));
	edge.size = 255;
	CHECK(ga_edge_append(&edge, leaves[0], NULL, NULL));
	CHECK_INT(edge.size, 256);
	edge.size = GA_TREE_SIZE_MAX;
	CHECK(!ga_edge_append(&edge, leaves[0], NULL, NULL));
	CHECK_INT(ga_edge_packed_bytes(0), 0);
	CHECK_INT(ga_edge_packed_bytes(256), 32);
	CHECK_INT(ga_edge_packed_bytes(70000), (112 + 17 + 1) * 32);
}

int
main(void)
{
	for (int i = 0; i < LEAVES; i++)
	{
		if (!ga_merkle_leaf(&i, sizeof(i), leaves[i]))
			abort();
	}
	grow();
	check_proofs();
	check_names();
	check_limits();
	return unit_done();
}
