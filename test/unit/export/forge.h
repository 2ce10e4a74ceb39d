/* SPDX-License-Identifier: PostgreSQL */
/*
 * forge.h: a log as a server would have written it, in the layout of an export, honest or altered
 * in named ways. Entries, tiles, heads, checkpoint and openings can be written apart: an attacker
 * who cannot sign leaves heads and checkpoint as they are. Fails by abort().
 */
#ifndef GA_TEST_FORGE_H
#define GA_TEST_FORGE_H

#include "check.h"
#include "note.h"

#define ORIGIN_1 "goldenarch/11111111-1111-4111-8111-111111111111"
#define ORIGIN_2 "goldenarch/22222222-2222-4222-8222-222222222222"
#define LEAVES_MAX 700
#define FORGE_T0 INT64_C(1700000000)

enum
{
	WRITE_ENTRIES = 1,
	WRITE_TILES = 2,
	WRITE_HEADS = 4,
	WRITE_CHECKPOINT = 8,
	WRITE_OPENINGS = 16,
	WRITE_ALL = 31
};

/* A log as its server would have it, and what is done to it. */
typedef struct ForgedLog
{
	const char *origin;
	char link[400];
	char pruning[400]; /* what leaf 270 says was pruned; empty: it says nothing */
	int n;
	int altered; /* leaf with another subject; -1: none */
	int left_out;
	int twice;         /* leaf with the id of the leaf before */
	int reordered;     /* leaf with the ordinal of the leaf before */
	int other_details; /* opening with other details */
	uint8_t seed[GA_ED25519_KEY_BYTES];
	uint64_t first_id;
	int heads[8];
	int nheads;
	bool pruned;                 /* below 256 */
	uint8_t root[GA_HASH_BYTES]; /* of n, once written */
} ForgedLog;

extern uint8_t forge_seed[GA_ED25519_KEY_BYTES];

extern void forge_must(bool ok);
/* Its path in `at`, which mkdtemp() filled; emptied if it was there. */
extern int forge_folder(const char *at);
extern void forge_remove(const char *at);
/* 300 leaves, heads at 5, 100, 256, 300 and 300, which are 30 s apart from FORGE_T0 on. */
extern void forge_init(ForgedLog *log);
/* The last head is the checkpoint. */
extern void forge_write(ForgedLog *log, int folder, int what);
/* export.json and keys, of 1 or 2 incarnations. */
extern void forge_manifest(int folder, int incarnations, uint64_t last_minimum);

#endif
