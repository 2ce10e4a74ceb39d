/* SPDX-License-Identifier: PostgreSQL */
/*
 * Prints two rates: leaves of 300 bytes hashed and appended to a tree by the core, and bare SHA-256
 * of as many bytes in one call a leaf (the floor, which has no inner nodes).
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "merkle.h"

#define LEAVES 300000
#define LEAF_BYTES 300

static double
now(void)
{
	struct timespec at;

	(void) clock_gettime(CLOCK_MONOTONIC, &at);
	return (double) at.tv_sec + (double) at.tv_nsec / 1e9;
}

static void
check(bool ok)
{
	if (!ok)
	{
		fprintf(stderr, "libcrypto failed\n");
		exit(1);
	}
}

static void
fill(unsigned char *leaf, int n)
{
	memset(leaf, 'x', LEAF_BYTES);
	memcpy(leaf, &n, sizeof(n));
}

int
main(void)
{
	GaMerkle *tree = malloc(sizeof(GaMerkle));
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	unsigned char leaf[LEAF_BYTES];
	unsigned char hash[32];
	double core;
	double bare;
	double start = now();

	check(tree && sha256);
	ga_merkle_init(tree);
	for (int i = 0; i < LEAVES; i++)
	{
		fill(leaf, i);
		check(ga_merkle_leaf(leaf, sizeof(leaf), hash) && ga_merkle_append(tree, hash));
	}
	check(ga_merkle_root(tree, hash));
	core = now() - start;
	start = now();
	for (int i = 0; i < LEAVES; i++)
	{
		fill(leaf, i);
		check(EVP_Digest(leaf, sizeof(leaf), hash, NULL, sha256, NULL) == 1);
	}
	bare = now() - start;
	printf("%.0f %.0f\n", LEAVES / core, LEAVES / bare);
	EVP_MD_free(sha256);
	free(tree);
	return 0;
}
