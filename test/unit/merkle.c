/* SPDX-License-Identifier: PostgreSQL */
/* merkle.c: roots of the test leaves of RFC 6962 implementations, and against the definition. */
#include "merkle.h"

#include "digest.h"
#include "unit.h"

/* the leaves and roots that certificate-transparency's own tests use */
static const char *const leaves[8] = {"",
                                      "00",
                                      "10",
                                      "2021",
                                      "3031",
                                      "40414243",
                                      "5051525354555657",
                                      "606162636465666768696a6b6c6d6e6f"};
static const char *const roots[8] = {
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

/* MTH of RFC 6962 section 2.1, as it is written there */
static void
definition(const uint8_t *hashes, size_t n, uint8_t out[GA_HASH_BYTES])
{
	uint8_t left[GA_HASH_BYTES];
	uint8_t right[GA_HASH_BYTES];
	size_t k = 1;

	if (n == 1)
	{
		memcpy(out, hashes, GA_HASH_BYTES);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	definition(hashes, k, left);
	definition(hashes + k * GA_HASH_BYTES, n - k, right);
	CHECK(ga_merkle_node(left, right, out));
}

int
main(void)
{
	static uint8_t hashes[300 * GA_HASH_BYTES];
	uint8_t data[64];
	uint8_t wanted[GA_HASH_BYTES];
	uint8_t got[GA_HASH_BYTES];
	GaMerkle tree;

	ga_merkle_init(&tree);
	CHECK(ga_merkle_root(&tree, got));
	unit_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", wanted);
	CHECK(memcmp(got, wanted, GA_HASH_BYTES) == 0);
	for (int i = 0; i < 8; i++)
	{
		size_t bytes = unit_hex(leaves[i], data);

		CHECK(ga_merkle_leaf(data, bytes, hashes + i * GA_HASH_BYTES));
		CHECK(ga_merkle_append(&tree, hashes + i * GA_HASH_BYTES));
		CHECK(ga_merkle_root(&tree, got));
		unit_hex(roots[i], wanted);
		CHECK(memcmp(got, wanted, GA_HASH_BYTES) == 0);
	}
	for (int n = 1; n <= 300; n++)
	{
		CHECK(ga_merkle_leaf(&n, sizeof(n), hashes + (n - 1) * GA_HASH_BYTES));
		definition(hashes, (size_t) n, wanted);
		CHECK(ga_merkle_root_of(hashes, (size_t) n, got));
		CHECK(memcmp(got, wanted, GA_HASH_BYTES) == 0);
	}
	return unit_done();
}
