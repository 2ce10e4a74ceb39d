/* SPDX-License-Identifier: PostgreSQL */
/*
 * The keys that tokens are verified and signed with: add_jwt_key, load_jwks, retire_jwt_key.
 *
 * A key row fixes its algorithm: a token's header never chooses one. Private and HMAC parts are
 * readable by the owner's functions alone (row security without a policy). Parsing a public key
 * costs as much as verifying with it, so parsed keys are kept per backend, found by the stored
 * bytes themselves: a changed row can never meet an old parse. The rows themselves are kept as long
 * as no identity table changes (relcache invalidation, heard at each look-up); where there are too
 * many, each token asks the table. libcrypto's memory is freed before anything that may raise an
 * error.
 */
#include "jwk.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include <openssl/crypto.h>

#include "b64url.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "ground.h"
#include "identity.h"
#include "jws.h"
#include "rbac.h"

#define KEPT_MAX 500

/* Public keys and secrets, parsed; found by algorithm and stored bytes. */
typedef struct Parsed
{
	GaKey key;
	bytea *stored;
} Parsed;

static Parsed cache[GA_JWK_CACHE_ENTRIES];
static int cache_next;

/* The keys that count, as they stood in one generation of the identity tables. */
static MemoryContext kept_context;
static GaJwkRow *kept; /* null: not known, or too many */
static int nkept;
static uint64 kept_generation;

static bool
same_bytes(const bytea *a, const bytea *b)
{
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

const GaKey *
ga_jwk_parsed(const GaJwkRow *row)
{
	Parsed *entry;
	bytea *copy;
	GaKey key;
	int i;

	for (i = 0; i < GA_JWK_CACHE_ENTRIES; i++)
	{
		if (cache[i].stored && cache[i].key.alg == row->alg &&
		    same_bytes(cache[i].stored, row->key))
			return &cache[i].key;
	}
	copy = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(row->key));
	memcpy(copy, row->key, VARSIZE_ANY(row->key));
	if (ga_key_from_der(&key, row->alg, (const uint8 *) VARDATA_ANY(copy), VARSIZE_ANY_EXHDR(copy),
	                    false) != NULL)
	{
		pfree(copy);
		return NULL;
	}
	entry = &cache[cache_next];
	cache_next = (cache_next + 1) % GA_JWK_CACHE_ENTRIES;
	if (entry->stored)
	{
		ga_key_free(&entry->key);
		pfree(entry->stored);
	}
	entry->key = key;
	entry->stored = copy;
	return &entry->key;
}

/*
 * Keys in force, those of an issuer before the ones that check none; all: of any issuer. Inside
 * ga_enter; the rows live in the memory context that was current at ga_enter.
 */
static int
read_keys(bool all, const char *kid, const char *issuer, GaJwkRow **result, bool *perhaps_old)
{
	static GaStmt find = GA_READ(
	    "SELECT k.kid::pg_catalog.text, k.alg::pg_catalog.text, k.issuer::pg_catalog.text, "
	    "k.audience::pg_catalog.text, k.verify_key::pg_catalog.bytea, "
	    "COALESCE(k.retired_at, 'infinity')::pg_catalog.timestamptz FROM goldenarch.jwt_keys k "
	    "WHERE COALESCE(k.retired_at, 'infinity') OPERATOR(pg_catalog.>) $1 AND ($2 OR (($3 IS "
	    "NULL "
	    "OR k.kid OPERATOR(pg_catalog.=) $3) AND (k.issuer OPERATOR(pg_catalog.=) '' OR k.issuer "
	    "OPERATOR(pg_catalog.=) $4))) ORDER BY k.issuer USING OPERATOR(pg_catalog.>), k.kid LIMIT "
	    "$5",
	    TIMESTAMPTZOID, BOOLOID, TEXTOID, TEXTOID, INT8OID);
	bool latest = ga_push_latest_snapshot();
	GaRows rows = ga_query(&find, ga_timestamp(ga_now()), ga_bool(all), ga_text(kid),
	                       ga_text(issuer), ga_int8(KEPT_MAX + 1));
	int n = 0;

	if (latest)
		PopActiveSnapshot();
	else
		*perhaps_old = true;
	*result = palloc(sizeof(GaJwkRow) * (rows.count + 1));
	for (uint64 row = 0; row < rows.count; row++)
	{
		GaJwkRow *key = &(*result)[n];

		key->kid = ga_row_text_present(&rows, row, 1);
		key->alg = ga_alg_by_name(ga_row_text_present(&rows, row, 2));
		key->issuer = ga_row_text_present(&rows, row, 3);
		key->audience = ga_row_text(&rows, row, 4);
		key->key = ga_row_bytea_present(&rows, row, 5);
		key->retires_at = ga_row_timestamp(&rows, row, 6);
		if (key->alg != GA_ALG_UNKNOWN)
			n++;
	}
	return n;
}

static void
load_kept(uint64 generation)
{
	bool perhaps_old = false;
	MemoryContext old;
	GaJwkRow *rows;
	GaCall call;
	int n;

	kept = NULL;
	if (!kept_context)
		kept_context =
		    AllocSetContextCreate(TopMemoryContext, "goldenarch keys", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(kept_context);
	old = MemoryContextSwitchTo(kept_context);
	ga_enter_as(&call, &ga_system_principal);
	n = read_keys(true, NULL, NULL, &rows, &perhaps_old);
	ga_leave(&call);
	MemoryContextSwitchTo(old);
	if (perhaps_old)
		return;
	kept = n <= KEPT_MAX ? rows : NULL;
	nkept = n;
	kept_generation = generation;
}

static bool
fits(const GaJwkRow *row, const char *kid, const char *issuer, TimestampTz now)
{
	return row->retires_at > now && (!kid || strcmp(row->kid, kid) == 0) &&
	       (row->issuer[0] == '\0' || (issuer && strcmp(row->issuer, issuer) == 0));
}

int
ga_jwk_candidates(const char *kid, const char *issuer, GaJwkRow **result, bool *perhaps_old)
{
	uint64 generation = ga_identity_generation();
	GaCall call;
	int n = 0;

	if (kept_generation != generation)
		load_kept(generation);
	if (kept && kept_generation == ga_identity_generation())
	{
		TimestampTz now = ga_now();

		*result = palloc(sizeof(GaJwkRow) * (nkept + 1));
		for (int i = 0; i < nkept; i++)
		{
			if (fits(&kept[i], kid, issuer, now))
				(*result)[n++] = kept[i];
		}
		return n;
	}
	ga_enter_as(&call, &ga_system_principal);
	n = read_keys(false, kid, issuer, result, perhaps_old);
	ga_leave(&call);
	return n;
}

void
ga_jwk_signer(GaJwkRow *row)
{
	static GaStmt find =
	    GA_READ("SELECT k.kid::pg_catalog.text, k.alg::pg_catalog.text, "
	            "k.issuer::pg_catalog.text, k.audience::pg_catalog.text, "
	            "COALESCE(k.sign_key, k.verify_key)::pg_catalog.bytea "
	            "FROM goldenarch.jwt_keys k WHERE k.retired_at IS NULL AND k.can_sign "
	            "ORDER BY k.added_at USING OPERATOR(pg_catalog.>), k.kid LIMIT 1");
	GaRows rows = ga_query(&find);

	if (rows.count != 1)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("no key can sign tokens"),
		                errhint("Add one with goldenarch.add_jwt_key(..., can_sign => true).")));
	row->kid = ga_row_text_present(&rows, 0, 1);
	row->alg = ga_alg_by_name(ga_row_text_present(&rows, 0, 2));
	row->issuer = ga_row_text_present(&rows, 0, 3);
	row->audience = ga_row_text(&rows, 0, 4);
	row->key = ga_row_bytea_present(&rows, 0, 5);
	row->retires_at = DT_NOEND;
}

/* What a key becomes in the table. */
typedef struct Stored
{
	GaArg verify_key;
	GaArg sign_key; /* null for HMAC, whose verify_key signs too */
} Stored;

static GaArg
take_bytes(uint8 *der, ssize_t length)
{
	GaArg result = length > 0 ? ga_bytea(der, (size_t) length) : ga_null();

	OPENSSL_cleanse(der, GA_JWK_MAX_BYTES);
	pfree(der);
	return result;
}

/* Frees the key. */
static Stored
store_form(GaKey *key, bool can_sign)
{
	uint8 *verify_der = palloc(GA_JWK_MAX_BYTES);
	uint8 *sign_der = palloc(GA_JWK_MAX_BYTES);
	ssize_t verify_bytes = ga_key_to_der(key, false, verify_der, GA_JWK_MAX_BYTES);
	ssize_t sign_bytes = -1;
	Stored stored;

	if (can_sign && !ga_alg_is_hmac(key->alg))
		sign_bytes = ga_key_to_der(key, true, sign_der, GA_JWK_MAX_BYTES);
	ga_key_free(key);
	stored.verify_key = take_bytes(verify_der, verify_bytes);
	stored.sign_key = take_bytes(sign_der, sign_bytes);
	return stored;
}

static void
refuse_key(const char *problem)
{
	ga_bad_argument("key", psprintf("The key %s.", problem));
}

static void
read_key(GaKey *key, GaAlg alg, const char *text, bool can_sign)
{
	const char *problem;

	if (ga_alg_is_hmac(alg))
	{
		uint8 secret[GA_HMAC_KEY_MAX_BYTES];
		ssize_t length = ga_b64url_decode(text, strlen(text), secret, sizeof(secret));

		problem = length < 0 ? "is not a base64url secret of 32 to 512 bytes"
		                     : ga_key_from_secret(key, alg, secret, (size_t) length);
		OPENSSL_cleanse(secret, sizeof(secret));
	}
	else
		problem = ga_key_from_pem(key, alg, text, strlen(text));
	if (!problem && can_sign && !key->can_sign)
	{
		ga_key_free(key);
		problem = "is public and cannot sign";
	}
	if (problem)
		refuse_key(problem);
}

static void
notice_unchecked(const char *kid, const char *issuer, const char *audience)
{
	if (!issuer)
		ereport(NOTICE, (errmsg("tokens of key \"%s\" are accepted from any issuer", kid),
		                 errhint("Name the issuer to have \"iss\" checked.")));
	if (!audience)
		ereport(NOTICE, (errmsg("tokens of key \"%s\" are accepted for any audience", kid),
		                 errhint("Name the audience to have \"aud\" checked.")));
}

static void
check_kid(const char *kid)
{
	if (strlen(kid) > GA_NAME_MAX_BYTES)
		ga_bad_argument("kid", "A key id has at most 128 bytes.");
}

GA_FUNCTION(ga_add_jwt_key);
Datum
ga_add_jwt_key(PG_FUNCTION_ARGS)
{
	/* the same key again is no change; another one under the same name is an error */
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.jwt_keys AS k (issuer, kid, alg, audience, verify_key, sign_key, "
	    "can_sign, source) VALUES ($1, $2, $3, $4, $5, $6, $7, 'added') "
	    "ON CONFLICT (issuer, kid) DO UPDATE SET alg = EXCLUDED.alg, audience = EXCLUDED.audience, "
	    "verify_key = EXCLUDED.verify_key, sign_key = EXCLUDED.sign_key, can_sign = "
	    "EXCLUDED.can_sign, source = 'added', added_at = pg_catalog.clock_timestamp(), "
	    "retired_at = NULL, barred = pg_catalog.array_remove(k.barred, pg_catalog.sha256("
	    "EXCLUDED.verify_key)) WHERE k.retired_at IS NOT NULL OR (k.alg "
	    "OPERATOR(pg_catalog.=) $3 AND "
	    "k.verify_key OPERATOR(pg_catalog.=) $5)",
	    TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID, BYTEAOID, BOOLOID);
	GaCall call;
	char *kid;
	char *alg_name;
	char *material;
	char *issuer;
	char *audience;
	bool can_sign;
	GaAlg alg;
	GaKey key;
	Stored stored;

	if (!PG_ARGISNULL(2))
		ga_hide_secret(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	ga_enter_global(&call, "system.admin");
	kid = ga_arg_text(fcinfo, 0, "kid");
	alg_name = ga_arg_text(fcinfo, 1, "alg");
	material = ga_arg_text(fcinfo, 2, "key");
	issuer = ga_arg_text_or_null(fcinfo, 3, "issuer");
	audience = ga_arg_text_or_null(fcinfo, 4, "audience");
	can_sign = ga_arg_bool(fcinfo, 5, "can_sign");
	check_kid(kid);
	alg = ga_alg_by_name(alg_name);
	if (alg == GA_ALG_UNKNOWN)
		ga_bad_argument("alg", "One of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, "
		                       "PS512, ES256, ES384, ES512, EdDSA.");
	read_key(&key, alg, material, can_sign);
	stored = store_form(&key, can_sign);
	if (ga_query(&insert, ga_text(issuer ? issuer : ""), ga_text(kid), ga_text(alg_name),
	             ga_text(audience), stored.verify_key, stored.sign_key, ga_bool(can_sign))
	        .count == 0)
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
		                errmsg("key \"%s\" exists with other content", kid),
		                errhint("Take a new kid, or retire the old key first.")));
	(void) ga_audit("add_jwt_key", "jwt_key", kid,
	                ga_json_pairs("alg", alg_name, "issuer", issuer, "audience", audience,
	                              "can_sign", can_sign ? "true" : "false", NULL));
	notice_unchecked(kid, issuer, audience);
	ga_leave(&call);
	PG_RETURN_VOID();
}

static void *
grow(void *context, size_t bytes)
{
	(void) context;
	return palloc(bytes);
}

/* The keys of a JWK Set, or 22023. */
static const GaJsonNode *
read_set(GaArena *arena, const char *text)
{
	GaJsonFault fault;
	const GaJsonNode *keys = ga_json_member(
	    ga_json_parse(arena, text, strlen(text), &ga_json_default_limits, 0, &fault), "keys");

	if (!keys || keys->type != GA_JSON_ARRAY || keys->count > GA_JWKS_KEYS_MAX)
		ga_bad_argument("jwks", "A JWK Set is an object with an array \"keys\" of at most 100.");
	return keys;
}

static const char *
member(const GaJsonNode *jwk, const char *name)
{
	return ga_json_string(ga_json_member(jwk, name));
}

/* RFC 7517 section 5: what is not understood, or not for signatures, is as if it were not there. */
static bool
concerns_us(const GaJsonNode *jwk)
{
	const char *kty = member(jwk, "kty");
	const char *use = member(jwk, "use");

	return kty && (!use || strcmp(use, "sig") == 0) &&
	       (strcmp(kty, "oct") == 0 || strcmp(kty, "RSA") == 0 || strcmp(kty, "EC") == 0 ||
	        strcmp(kty, "OKP") == 0);
}

/*
 * A set in which it is not clear what a kid means, or that publishes secrets among public keys, is
 * refused as a whole: the keys of before stay.
 */
static void
check_set(const GaJsonNode *keys)
{
	bool secrets = false;
	bool publics = false;

	for (const GaJsonNode *jwk = keys->child; jwk; jwk = jwk->next)
	{
		const char *kid = member(jwk, "kid");

		if (!concerns_us(jwk))
			continue;
		if (strcmp(member(jwk, "kty"), "oct") == 0)
			secrets = true;
		else
			publics = true;
		for (const GaJsonNode *other = keys->child; kid && other != jwk; other = other->next)
		{
			if (concerns_us(other) && member(other, "kid") &&
			    strcmp(member(other, "kid"), kid) == 0)
				ga_bad_argument("jwks", psprintf("Two keys of the set have the id \"%s\".", kid));
		}
	}
	if (secrets && publics)
		ga_bad_argument("jwks", "The set holds secrets (kty oct) among public keys: what it "
		                        "publishes can forge tokens.");
}

/* True when an administrator retired this very key of the issuer: no set brings it back. */
static bool
is_barred(const char *issuer, GaArg verify_key)
{
	static GaStmt find =
	    GA_STMT("SELECT 1 FROM goldenarch.jwt_keys k WHERE k.issuer OPERATOR(pg_catalog.=) $1 AND "
	            "pg_catalog.sha256($2) OPERATOR(pg_catalog.=) ANY (k.barred) LIMIT 1",
	            TEXTOID, BYTEAOID);

	return ga_query(&find, ga_text(issuer), verify_key).count > 0;
}

/* Null when the key can be had from the JWK, with *alg set, else what is in the way. */
static const char *
judge_jwk(const GaJsonNode *jwk, const char *issuer, GaAlg *alg, Stored *stored)
{
	const char *kid = member(jwk, "kid");
	const char *name = member(jwk, "alg");
	const char *kty = member(jwk, "kty");
	const char *problem;
	GaKey key;

	*alg = name ? ga_alg_by_name(name) : ga_jwk_only_alg(jwk);
	/* issuers that publish RSA keys without alg sign with RS256; a key is still bound to one */
	if (!ga_json_member(jwk, "alg") && kty && strcmp(kty, "RSA") == 0)
		*alg = GA_ALG_RS256;
	if (!kid || kid[0] == '\0' || strlen(kid) > GA_NAME_MAX_BYTES)
		return "has no usable kid";
	if (!concerns_us(jwk))
		return "is of an unknown type (kty), or not for signatures (use)";
	if (strcmp(kty, "oct") != 0 && ga_jwk_holds_secret(jwk))
		return "holds its private part, so whoever has the set can sign";
	if ((problem = ga_key_from_jwk(&key, *alg, jwk)))
		return problem;
	*stored = store_form(&key, false);
	return is_barred(issuer, stored->verify_key) ? "was retired by retire_jwt_key()" : NULL;
}

/* Null, with a NOTICE, for a key that is not one of ours to load. */
static const char *
load_one(const GaJsonNode *jwk, const char *issuer, const char *audience)
{
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.jwt_keys AS k (issuer, kid, alg, audience, verify_key, can_sign, "
	    "source) VALUES ($1, $2, $3, $4, $5, false, 'jwks') ON CONFLICT (issuer, kid) DO UPDATE "
	    "SET alg = EXCLUDED.alg, audience = EXCLUDED.audience, verify_key = EXCLUDED.verify_key, "
	    "sign_key = NULL, can_sign = false, added_at = pg_catalog.clock_timestamp(), retired_at = "
	    "NULL, source = 'jwks' WHERE k.source OPERATOR(pg_catalog.=) 'jwks' OR "
	    "COALESCE(k.retired_at, 'infinity') OPERATOR(pg_catalog.<=) $6",
	    TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID);
	const char *kid = member(jwk, "kid");
	Stored stored;
	GaAlg alg;
	const char *problem = judge_jwk(jwk, issuer ? issuer : "", &alg, &stored);

	if (problem)
	{
		ereport(NOTICE, (errmsg("key \"%s\" is not loaded", kid ? kid : ""),
		                 errdetail("The key %s.", problem)));
		return NULL;
	}
	if (ga_query(&upsert, ga_text(issuer ? issuer : ""), ga_text(kid), ga_text(ga_alg_name(alg)),
	             ga_text(audience), stored.verify_key, ga_timestamp(ga_now()))
	        .count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_DUPLICATE_OBJECT),
		         errmsg("key \"%s\" was added by add_jwt_key and is not replaced by a set", kid),
		         errhint("Retire it first.")));
	return kid;
}

/* Those of earlier sets of the issuer that this one has not, at a time; how many. */
static int64
retire_absent(const char *issuer, const char **kids, int n, TimestampTz at)
{
	static GaStmt retire = GA_STMT(
	    "UPDATE goldenarch.jwt_keys k SET retired_at = $3 WHERE k.issuer OPERATOR(pg_catalog.=) $1 "
	    "AND k.source OPERATOR(pg_catalog.=) 'jwks' AND COALESCE(k.retired_at, 'infinity') "
	    "OPERATOR(pg_catalog.>) $3 AND NOT (k.kid OPERATOR(pg_catalog.=) ANY ($2))",
	    TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID);

	return (int64) ga_query(&retire, ga_text(issuer), ga_text_array(kids, n), ga_timestamp(at))
	    .count;
}

GA_FUNCTION(ga_load_jwks);
Datum
ga_load_jwks(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaArena arena;
	GaJson details;
	char *issuer;
	char *audience;
	char *text;
	int64 overlap_us;
	const GaJsonNode *keys;
	const char **kids;
	int64 retired;
	int loaded = 0;

	ga_enter_global(&call, "system.admin");
	if (PG_ARGISNULL(0))
		ga_bad_argument("jwks", "A JWK Set must not be null.");
	text = JsonbToCString(NULL, &PG_GETARG_JSONB_P(0)->root, -1);
	issuer = ga_arg_text_or_null(fcinfo, 1, "issuer");
	audience = ga_arg_text_or_null(fcinfo, 2, "audience");
	overlap_us = ga_arg_interval_us(fcinfo, 3, "overlap", true);
	if (overlap_us > GA_JWT_TTL_MAX_SECONDS * USECS_PER_SEC)
		ga_bad_argument("overlap", "A key outlives its set by at most 366 days.");
	ga_arena_init_growing(&arena, grow, NULL, 16 * 1024 * 1024);
	keys = read_set(&arena, text);
	check_set(keys);
	kids = palloc(sizeof(char *) * (GA_JWKS_KEYS_MAX + 1));
	for (const GaJsonNode *jwk = keys->child; jwk; jwk = jwk->next)
	{
		const char *kid = load_one(jwk, issuer, audience);

		if (kid)
			kids[loaded++] = kid;
	}
	if (loaded == 0)
		ga_bad_argument("jwks", "The set holds no key that can be loaded.");
	retired = retire_absent(issuer ? issuer : "", kids, loaded, ga_now() + overlap_us);
	ga_json_begin_object(&details);
	ga_json_text(&details, "audience", audience);
	ga_json_int8(&details, "loaded", loaded);
	ga_json_int8(&details, "retired", retired);
	(void) ga_audit("load_jwks", "jwt_key", issuer ? issuer : "-", ga_json_end(&details));
	notice_unchecked("*", issuer, audience);
	ga_leave(&call);
	PG_RETURN_INT32(loaded);
}

GA_FUNCTION(ga_retire_jwt_key);
Datum
ga_retire_jwt_key(PG_FUNCTION_ARGS)
{
	/* without an issuer every key of that name goes: retiring too little is the worse error */
	static GaStmt live = GA_STMT(
	    "SELECT 1 FROM goldenarch.jwt_keys k WHERE k.kid OPERATOR(pg_catalog.=) $1 AND ($2 IS NULL "
	    "OR k.issuer OPERATOR(pg_catalog.=) $2) AND COALESCE(k.retired_at, 'infinity') "
	    "OPERATOR(pg_catalog.>) $3 LIMIT 1",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static GaStmt retire = GA_STMT(
	    "UPDATE goldenarch.jwt_keys k SET retired_at = LEAST(k.retired_at, $3), sign_key = NULL, "
	    "can_sign = false, barred = pg_catalog.array_append(pg_catalog.array_remove(k.barred, "
	    "pg_catalog.sha256(k.verify_key)), pg_catalog.sha256(k.verify_key)) "
	    "WHERE k.kid OPERATOR(pg_catalog.=) $1 AND ($2 IS NULL OR "
	    "k.issuer OPERATOR(pg_catalog.=) $2)",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID);
	GaArg now = ga_timestamp(ga_now());
	GaCall call;
	char *kid;
	char *issuer;
	bool retired;

	ga_enter_global(&call, "system.admin");
	kid = ga_arg_text(fcinfo, 0, "kid");
	issuer = ga_arg_text_or_null(fcinfo, 1, "issuer");
	retired = ga_query(&live, ga_text(kid), ga_text(issuer), now).count > 0;
	if (ga_query(&retire, ga_text(kid), ga_text(issuer), now).count > 0 && retired)
		(void) ga_audit("retire_jwt_key", "jwt_key", kid, ga_json_pairs("issuer", issuer, NULL));
	ga_leave(&call);
	PG_RETURN_BOOL(retired);
}
