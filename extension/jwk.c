/* SPDX-License-Identifier: PostgreSQL */
/*
 * The keys that tokens are verified and signed with: add_jwt_key, load_jwks, retire_jwt_key.
 *
 * A key row fixes its algorithm: a token's header never chooses one. Private and HMAC parts are
 * readable by the owner's functions alone (row security without a policy). Parsing a public key
 * costs as much as verifying with it, so parsed keys are kept per backend, found by the stored
 * bytes themselves: a changed row can never meet an old parse. libcrypto's memory is freed before
 * anything that may raise an error.
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
#include "goldenarch/maintenance.h"
#include "goldenarch/query.h"
#include "identity.h"
#include "jws.h"
#include "rbac.h"

typedef struct Parsed
{
	GaKey key;
	bytea *stored;
} Parsed;

static Parsed cache[GA_JWK_CACHE_ENTRIES];
static int cache_next;

static bool
same_bytes(const bytea *a, const bytea *b)
{
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

const GaKey *
ga_jwk_parsed(GaAlg alg, const bytea *verify_key)
{
	Parsed *entry;
	bytea *copy;
	GaKey key;
	int i;

	for (i = 0; i < GA_JWK_CACHE_ENTRIES; i++)
	{
		if (cache[i].stored && cache[i].key.alg == alg && same_bytes(cache[i].stored, verify_key))
			return &cache[i].key;
	}
	copy = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(verify_key));
	memcpy(copy, verify_key, VARSIZE_ANY(verify_key));
	if (ga_key_from_der(&key, alg, (const uint8 *) VARDATA_ANY(copy), VARSIZE_ANY_EXHDR(copy),
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

int
ga_jwk_candidates(const char *kid, const char *issuer, GaJwkRow **result)
{
	/* a key of the token's issuer goes before one that checks no issuer */
	static GaStmt find =
	    GA_READ("SELECT k.kid::pg_catalog.text, k.alg::pg_catalog.text, "
	            "k.issuer::pg_catalog.text, k.audience::pg_catalog.text, "
	            "k.verify_key::pg_catalog.bytea FROM goldenarch.jwt_keys k "
	            "WHERE k.retired_at IS NULL AND ($1 IS NULL OR k.kid OPERATOR(pg_catalog.=) $1) "
	            "AND (k.issuer OPERATOR(pg_catalog.=) '' OR k.issuer OPERATOR(pg_catalog.=) $2) "
	            "ORDER BY k.issuer USING OPERATOR(pg_catalog.>), k.kid LIMIT 100",
	            TEXTOID, TEXTOID);
	GaCall call;
	GaRows rows;
	uint64 row;
	bool latest;
	int n = 0;

	ga_enter(&call, NULL);
	latest = ga_push_latest_snapshot();
	rows = ga_query(&find, ga_text(kid), ga_text(issuer));
	if (latest)
		PopActiveSnapshot();
	*result = MemoryContextAlloc(call.result_context, sizeof(GaJwkRow) * (rows.count + 1));
	for (row = 0; row < rows.count; row++)
	{
		GaJwkRow *key = &(*result)[n];

		key->kid = ga_row_text_present(&rows, row, 1);
		key->alg = ga_alg_by_name(ga_row_text_present(&rows, row, 2));
		key->issuer = ga_row_text_present(&rows, row, 3);
		key->audience = ga_row_text(&rows, row, 4);
		key->key = ga_row_bytea_present(&rows, row, 5);
		if (key->alg != GA_ALG_UNKNOWN && key->key)
			n++;
	}
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
	    "retired_at = NULL WHERE k.retired_at IS NOT NULL OR (k.alg OPERATOR(pg_catalog.=) $3 AND "
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

/* Null, with a NOTICE, for a key that is not one of ours to load (RFC 7517 says: ignore it). */
static const char *
load_one(const GaJsonNode *jwk, const char *issuer, const char *audience)
{
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.jwt_keys AS k (issuer, kid, alg, audience, verify_key, can_sign, "
	    "source) VALUES ($1, $2, $3, $4, $5, false, 'jwks') ON CONFLICT (issuer, kid) DO UPDATE "
	    "SET alg = EXCLUDED.alg, audience = EXCLUDED.audience, verify_key = EXCLUDED.verify_key, "
	    "sign_key = NULL, can_sign = false, added_at = pg_catalog.clock_timestamp(), retired_at = "
	    "NULL WHERE k.source OPERATOR(pg_catalog.=) 'jwks'",
	    TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID);
	const char *kid = ga_json_string(ga_json_member(jwk, "kid"));
	const char *name = ga_json_string(ga_json_member(jwk, "alg"));
	const char *kty = ga_json_string(ga_json_member(jwk, "kty"));
	const char *problem;
	Stored stored;
	GaKey key;
	GaAlg alg = name ? ga_alg_by_name(name) : ga_jwk_only_alg(jwk);

	/* issuers that publish RSA keys without alg sign with RS256; a key is still bound to one */
	if (!name && kty && strcmp(kty, "RSA") == 0)
		alg = GA_ALG_RS256;
	if (!kid || kid[0] == '\0' || strlen(kid) > GA_NAME_MAX_BYTES)
		problem = "has no usable kid";
	else
		problem = ga_key_from_jwk(&key, alg, jwk);
	if (problem)
	{
		ereport(NOTICE, (errmsg("key \"%s\" is not loaded", kid ? kid : ""),
		                 errdetail("The key %s.", problem)));
		return NULL;
	}
	stored = store_form(&key, false);
	if (ga_query(&upsert, ga_text(issuer ? issuer : ""), ga_text(kid), ga_text(ga_alg_name(alg)),
	             ga_text(audience), stored.verify_key)
	        .count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_DUPLICATE_OBJECT),
		         errmsg("key \"%s\" was added by add_jwt_key and is not replaced by a set", kid),
		         errhint("Retire it first.")));
	return kid;
}

/* The first key of a JWK Set; null when it has none. */
static const GaJsonNode *
first_key(GaArena *arena, const char *text)
{
	GaJsonFault fault;
	const GaJsonNode *keys = ga_json_member(
	    ga_json_parse(arena, text, strlen(text), &ga_json_default_limits, 0, &fault), "keys");

	if (keys && keys->type == GA_JSON_ARRAY && keys->count <= GA_JWKS_KEYS_MAX)
		return keys->child;
	ga_bad_argument("jwks", "A JWK Set is an object with an array \"keys\" of at most 100.");
}

GA_FUNCTION(ga_load_jwks);
Datum
ga_load_jwks(PG_FUNCTION_ARGS)
{
	static GaStmt retire = GA_STMT(
	    "UPDATE goldenarch.jwt_keys k SET retired_at = pg_catalog.clock_timestamp() "
	    "WHERE k.issuer OPERATOR(pg_catalog.=) $1 AND k.source OPERATOR(pg_catalog.=) 'jwks' AND "
	    "k.retired_at IS NULL AND NOT (k.kid OPERATOR(pg_catalog.=) ANY ($2))",
	    TEXTOID, TEXTARRAYOID);
	GaCall call;
	GaArena arena;
	char *issuer;
	char *audience;
	char *text;
	const GaJsonNode *jwk;
	const char **kids;
	int loaded = 0;

	ga_enter_global(&call, "system.admin");
	if (PG_ARGISNULL(0))
		ga_bad_argument("jwks", "A JWK Set must not be null.");
	text = JsonbToCString(NULL, &PG_GETARG_JSONB_P(0)->root, -1);
	issuer = ga_arg_text_or_null(fcinfo, 1, "issuer");
	audience = ga_arg_text_or_null(fcinfo, 2, "audience");
	ga_arena_init_growing(&arena, grow, NULL, 16 * 1024 * 1024);
	kids = palloc(sizeof(char *) * (GA_JWKS_KEYS_MAX + 1));
	for (jwk = first_key(&arena, text); jwk; jwk = jwk->next)
	{
		const char *kid = load_one(jwk, issuer, audience);

		if (kid)
			kids[loaded++] = kid;
	}
	if (loaded == 0)
		ga_bad_argument("jwks", "The set holds no key that can be loaded.");
	(void) ga_query(&retire, ga_text(issuer ? issuer : ""), ga_text_array(kids, loaded));
	(void) ga_audit("load_jwks", "jwt_key", issuer ? issuer : "-",
	                ga_json_pairs("audience", audience, NULL));
	notice_unchecked("*", issuer, audience);
	ga_leave(&call);
	PG_RETURN_INT32(loaded);
}

GA_FUNCTION(ga_retire_jwt_key);
Datum
ga_retire_jwt_key(PG_FUNCTION_ARGS)
{
	/* without an issuer every key of that name goes: retiring too little is the worse error */
	static GaStmt retire =
	    GA_STMT("UPDATE goldenarch.jwt_keys k SET retired_at = pg_catalog.clock_timestamp(), "
	            "sign_key = NULL, can_sign = false WHERE k.kid OPERATOR(pg_catalog.=) $1 AND "
	            "($2 IS NULL OR k.issuer OPERATOR(pg_catalog.=) $2) AND k.retired_at IS NULL",
	            TEXTOID, TEXTOID);
	GaCall call;
	char *kid;
	char *issuer;
	bool retired;

	ga_enter_global(&call, "system.admin");
	kid = ga_arg_text(fcinfo, 0, "kid");
	issuer = ga_arg_text_or_null(fcinfo, 1, "issuer");
	retired = ga_query(&retire, ga_text(kid), ga_text(issuer)).count > 0;
	if (retired)
		(void) ga_audit("retire_jwt_key", "jwt_key", kid, ga_json_pairs("issuer", issuer, NULL));
	ga_leave(&call);
	PG_RETURN_BOOL(retired);
}

GA_FUNCTION(ga_revoke_token);
Datum
ga_revoke_token(PG_FUNCTION_ARGS)
{
	static GaStmt revoke = GA_STMT(
	    "INSERT INTO goldenarch.revoked_tokens AS r (token_id, until, revoked_by) VALUES ($1, $2, "
	    "$3) ON CONFLICT (token_id) DO UPDATE SET until = GREATEST(r.until, EXCLUDED.until)",
	    TEXTOID, TIMESTAMPTZOID, TEXTOID);
	GaCall call;
	char *token_id;

	ga_enter_global(&call, "system.admin");
	token_id = ga_arg_text(fcinfo, 0, "token_id");
	if (strlen(token_id) > GA_NAME_MAX_BYTES)
		ga_bad_argument("token_id", "A token id has at most 128 bytes.");
	if (PG_ARGISNULL(1))
		ga_bad_argument("until", "Name a time not before the token's expiry; infinity will do.");
	(void) ga_query(&revoke, ga_text(token_id), ga_timestamp(PG_GETARG_TIMESTAMPTZ(1)),
	                ga_text(call.principal->subject));
	(void) ga_audit("revoke_token", "token", token_id, NULL);
	ga_leave(&call);
	PG_RETURN_VOID();
}

/* Maintenance: a revocation is forgotten once its time has passed. */
int64
ga_forget_revocations(void)
{
	static GaStmt forget =
	    GA_STMT("DELETE FROM goldenarch.revoked_tokens r WHERE r.token_id OPERATOR(pg_catalog.=) "
	            "ANY (ARRAY(SELECT o.token_id FROM goldenarch.revoked_tokens o WHERE o.until "
	            "OPERATOR(pg_catalog.<) $1 LIMIT $2))",
	            TIMESTAMPTZOID, INT8OID);

	return (int64) ga_query(&forget, ga_timestamp(ga_now()), ga_int8(GA_MAINTENANCE_BATCH)).count;
}
