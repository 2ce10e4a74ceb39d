/* SPDX-License-Identifier: PostgreSQL */
/*
 * The library's identity: the server's magic block, and the number of the headers it was built
 * with.
 */
#include "entry.h"

#include "goldenarch/version.h"

PG_MODULE_MAGIC;

int
ga_bridge_abi(void)
{
	return GA_ABI;
}
