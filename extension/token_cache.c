/* SPDX-License-Identifier: PostgreSQL */
/*
 * Tokens that were verified, kept per backend by the SHA-256 of their text: an application that
 * authenticates in each transaction pays for the signature once.
 *
 * Only full successes are kept. A hit counts while the identity tables are as they were (keys and
 * revocations send relcache invalidations, heard at each look-up) and while the token lives. No
 * token is stored, only its hash and what it says.
 */
#include "identity.h"

#include "utils/memutils.h"

#include "digest.h"
#include "goldenarch/clock.h"
#include "rbac.h"

typedef struct Verified
{
	MemoryContext context; /* of what the claims point to */
	bool kept;
	uint8 hash[GA_HASH_BYTES];
	uint64 generation;
	GaClaims claims;
} Verified;

/* A token's hash says which of the sets it may stand in; within a set the oldest goes. */
#define WAYS 4
#define SETS (GA_JWT_CACHE_ENTRIES / WAYS)
static Verified cache[SETS][WAYS];
static uint8 oldest[SETS];

static bool
still_good(const GaClaims *claims)
{
	TimestampTz now = ga_now();

	return claims->expires_at > now && claims->key_retires_at > now;
}

static const Verified *
find(const uint8 *hash, uint64 generation)
{
	const Verified *set = cache[hash[0] % SETS];

	for (int i = 0; i < WAYS; i++)
	{
		if (set[i].kept && set[i].generation == generation &&
		    memcmp(set[i].hash, hash, GA_HASH_BYTES) == 0)
			return still_good(&set[i].claims) ? &set[i] : NULL;
	}
	return NULL;
}

static const char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

static void
keep(const uint8 *hash, uint64 generation, const GaClaims *claims)
{
	int set = hash[0] % SETS;
	Verified *slot = &cache[set][oldest[set]];
	GaClaims copy = *claims;
	MemoryContext old;
	int i;

	oldest[set] = (oldest[set] + 1) % WAYS;
	slot->kept = false;
	if (!slot->context)
		slot->context =
		    AllocSetContextCreate(TopMemoryContext, "goldenarch token", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(slot->context);
	old = MemoryContextSwitchTo(slot->context);
	copy.json = memcpy(palloc(VARSIZE(claims->json)), claims->json, VARSIZE(claims->json));
	copy.kid = copy_text(claims->kid);
	copy.subject = copy_text(claims->subject);
	copy.tenant = copy_text(claims->tenant);
	copy.token_id = copy_text(claims->token_id);
	copy.roles = palloc0(sizeof(char *) * (claims->nroles + 1));
	for (i = 0; i < claims->nroles; i++)
		copy.roles[i] = pstrdup(claims->roles[i]);
	MemoryContextSwitchTo(old);
	slot->generation = generation;
	slot->claims = copy;
	memcpy(slot->hash, hash, GA_HASH_BYTES);
	slot->kept = true;
}

const char *
ga_jwt_verify(const char *token, GaClaims *claims)
{
	GaBytes piece = {token, strlen(token)};
	uint8 hash[GA_HASH_BYTES];
	uint64 generation = ga_identity_generation();
	const Verified *known;
	const char *problem;

	if (!ga_sha256(&piece, 1, hash))
		elog(ERROR, "could not compute SHA-256");
	known = find(hash, generation);
	if (known)
	{
		*claims = known->claims;
		return NULL;
	}
	problem = ga_jwt_verify_afresh(token, claims);
	/* what changed meanwhile, or was read under an old snapshot, is not kept */
	if (!problem && !claims->perhaps_old && generation == ga_identity_generation())
		keep(hash, generation, claims);
	return problem;
}
