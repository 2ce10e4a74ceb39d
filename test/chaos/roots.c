/* SPDX-License-Identifier: PostgreSQL */
/*
 * Roots of a growing tree: leaf hashes in hex, a line each in the order of the tree, on standard
 * input; for each size among the arguments, which ascend, prints "SIZE ROOT".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merkle.h"

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
check(bool ok, const char *what)
{
	if (!ok)
	{
		fprintf(stderr, "roots: %s\n", what);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	GaMerkle *tree = malloc(sizeof(GaMerkle));
	unsigned char hash[GA_HASH_BYTES];
	char line[128];
	int next = 1;

	check(tree != NULL, "no memory");
	ga_merkle_init(tree);
	for (;;)
	{
		while (next < argc && strtoull(argv[next], NULL, 10) == tree->size)
		{
			check(ga_merkle_root(tree, hash), "no root");
			printf("%s ", argv[next++]);
			for (int i = 0; i < GA_HASH_BYTES; i++)
				printf("%02x", hash[i]);
			printf("\n");
		}
		if (!fgets(line, sizeof(line), stdin))
			break;
		check(strcspn(line, "\n") == 2 * GA_HASH_BYTES, "not a hash");
		for (int i = 0; i < GA_HASH_BYTES; i++)
		{
			check(digit(line[2 * i]) >= 0 && digit(line[2 * i + 1]) >= 0, "not hexadecimal");
			hash[i] = (unsigned char) (digit(line[2 * i]) << 4 | digit(line[2 * i + 1]));
		}
		check(ga_merkle_append(tree, hash), "no leaf");
	}
	check(next == argc, "fewer leaves than a size asks for");
	free(tree);
	return 0;
}
