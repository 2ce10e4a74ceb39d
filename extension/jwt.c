/* SPDX-License-Identifier: PostgreSQL */
/*
 * JSON Web Tokens: verify_jwt, jws_verify, issue_jwt (RFC 7515, 7519, 8725).
 *
 * The order is: shape, header, key, signature, claims; nothing of the payload is believed before
 * the signature but "iss", and that only to find the key. Whatever is wrong, the error is the same.
 * Keys and revocations come from caches, so that a token not seen before costs its signature and
 * no query; nothing is written. Fixed memory: the arena ends with the statement.
 */
#include "identity.h"

#include "catalog/pg_type_d.h"
#include "common/string.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "b64url.h"
#include "claims.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "jwk.h"
#include "jws.h"
#include "revocation.h"

#define ARENA_MAX_BYTES (4 * 1024 * 1024)
#define UNIX_EPOCH_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC)

static void *
grow(void *context, size_t bytes)
{
	(void) context;
	return palloc(bytes);
}

/* The key the header names; without a kid, the only one there is for its algorithm. */
static const char *
find_key(const GaJws *jws, const char *issuer, GaJwkRow *key, bool *perhaps_old)
{
	GaJwkRow *rows;
	int n = ga_jwk_candidates(jws->kid, issuer, &rows, perhaps_old);
	int matching = 0;
	int i;

	if (jws->kid)
	{
		if (n == 0)
			return "names an unknown key (kid) or issuer";
		*key = rows[0];
		if (strcmp(jws->alg, ga_alg_name(key->alg)) != 0)
			return "has another algorithm than its key";
		return NULL;
	}
	for (i = 0; i < n; i++)
	{
		if (strcmp(jws->alg, ga_alg_name(rows[i].alg)) == 0)
		{
			matching++;
			*key = rows[i];
		}
	}
	return matching == 1 ? NULL : "names no key (kid), and it is not clear which one is meant";
}

static bool
acceptable_type(const char *typ)
{
	if (typ && pg_strncasecmp(typ, "application/", strlen("application/")) == 0)
		typ += strlen("application/");
	return !typ || pg_strcasecmp(typ, "JWT") == 0 || pg_strcasecmp(typ, "at+jwt") == 0;
}

/* What the claims say, taken over into *claims. */
static const char *
judge_claims(const GaJsonNode *root, const GaJwkRow *key, GaClaims *claims)
{
	GaTokenClaims *says = palloc(sizeof(*says));
	const char *problem = ga_claims_judge(root, key->audience, ga_now() + UNIX_EPOCH_US, says);

	if (problem)
		return problem;
	claims->subject = says->subject;
	claims->tenant = says->tenant;
	claims->token_id = says->token_id;
	claims->roles = says->roles;
	claims->nroles = says->nroles;
	claims->expires_at = says->expires_us - UNIX_EPOCH_US;
	claims->key_retires_at = key->retires_at;
	return NULL;
}

/* keyed: the value of a member whose key was pushed. Depth is bounded by the limits of jws.h. */
static JsonbValue *
push_node(JsonbParseState **state, const GaJsonNode *node, bool keyed)
{
	JsonbIteratorToken token = keyed ? WJB_VALUE : WJB_ELEM;
	bool array = node->type == GA_JSON_ARRAY;
	JsonbValue value = {.type = jbvNull};

	if (array || node->type == GA_JSON_OBJECT)
	{
		(void) pushJsonbValue(state, array ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
		for (const GaJsonNode *child = node->child; child; child = child->next)
		{
			JsonbValue key = {.type = jbvString};

			key.val.string.val = unconstify(char *, child->key);
			key.val.string.len = (int) child->key_bytes;
			if (!array)
				(void) pushJsonbValue(state, WJB_KEY, &key);
			(void) push_node(state, child, !array);
		}
		return pushJsonbValue(state, array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
	}
	if (node->type == GA_JSON_STRING)
	{
		value.type = jbvString;
		value.val.string.val = unconstify(char *, node->text);
		value.val.string.len = (int) node->bytes;
	}
	else if (node->type == GA_JSON_NUMBER)
	{
		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(
		    DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(node->text, node->bytes)),
		                        ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	}
	else if (node->type != GA_JSON_NULL)
	{
		value.type = jbvBool;
		value.val.boolean = node->type == GA_JSON_TRUE;
	}
	return pushJsonbValue(state, token, &value);
}

/* The claims, an object, as they were read: no second reader may understand them otherwise. */
static const Jsonb *
claims_jsonb(const GaJsonNode *root)
{
	JsonbParseState *state = NULL;

	return JsonbValueToJsonb(push_node(&state, root, false));
}

const char *
ga_jwt_verify_afresh(const char *token, GaClaims *claims)
{
	GaArena arena;
	GaJws jws;
	GaJsonFault fault;
	const GaJsonNode *root;
	GaJwkRow row;
	const GaKey *key;
	const char *issuer;
	const char *problem;

	memset(claims, 0, sizeof(*claims));
	ga_arena_init_growing(&arena, grow, NULL, ARENA_MAX_BYTES);
	problem = ga_jws_split(&arena, token, strlen(token), GA_JWT_MAX_BYTES, &jws);
	claims->kid = jws.kid;
	if (problem)
		return problem;
	if (!acceptable_type(jws.typ))
		return "is of another type (typ)";
	root = ga_json_parse(&arena, (const char *) jws.payload, jws.payload_bytes, &ga_jwt_json_limits,
	                     0, &fault);
	if ((problem = ga_claims_issuer(root, &issuer)) ||
	    (problem = find_key(&jws, issuer, &row, &claims->perhaps_old)))
		return problem;
	key = ga_jwk_parsed(&row);
	if (!key || !ga_key_verify(key, jws.input, jws.input_bytes, jws.signature, jws.signature_bytes))
		return "has a wrong signature";
	if ((problem = judge_claims(root, &row, claims)))
		return problem;
	claims->json = claims_jsonb(root);
	if (claims->token_id && ga_token_revoked(claims->token_id, &claims->perhaps_old))
		return "is revoked";
	return NULL;
}

/* One answer for every caller and every reason, which is for the server's log alone. */
static void
reject(const char *what, const char *problem)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("token rejected"),
	                errdetail_log("The %s %s.", what, problem),
	                errhint("The server's log has the reason.")));
}

GA_FUNCTION(ga_verify_jwt);
Datum
ga_verify_jwt(PG_FUNCTION_ARGS)
{
	char *token = ga_arg_text(fcinfo, 0, "token");
	GaClaims claims;
	const char *problem;

	ga_hide_secret(token);
	problem = ga_jwt_verify(token, &claims);
	if (problem)
		reject("token", problem);
	return PointerGetDatum(memcpy(palloc(VARSIZE(claims.json)), claims.json, VARSIZE(claims.json)));
}

/* What verifies is the jwk with this algorithm; unknown where nobody knows it. */
static GaAlg
algorithm_of(FunctionCallInfo fcinfo, const GaJsonNode *jwk)
{
	char *named = ga_arg_text_or_null(fcinfo, 2, "alg");
	const char *name = named ? named : ga_json_string(ga_json_member(jwk, "alg"));

	if (!name)
		ga_bad_argument("alg", "The key names no algorithm of its own.");
	return ga_alg_by_name(name);
}

GA_FUNCTION(ga_jws_verify);
Datum
ga_jws_verify(PG_FUNCTION_ARGS)
{
	char *token = ga_arg_text(fcinfo, 0, "token");
	GaArena arena;
	GaJsonFault fault;
	const GaJsonNode *jwk;
	const char *problem;
	char *text;
	GaAlg alg;
	GaJws jws;
	GaKey key;
	bool ok;

	if (PG_ARGISNULL(1))
		ga_bad_argument("jwk", "A key must not be null.");
	text = JsonbToCString(NULL, &PG_GETARG_JSONB_P(1)->root, -1);
	ga_arena_init_growing(&arena, grow, NULL, ARENA_MAX_BYTES);
	jwk = ga_json_parse(&arena, text, strlen(text), &ga_json_default_limits, 0, &fault);
	alg = algorithm_of(fcinfo, jwk);
	problem = ga_jws_split(&arena, token, strlen(token), GA_JWS_MAX_BYTES, &jws);
	if (problem)
		reject("token", problem);
	if (alg == GA_ALG_UNKNOWN || strcmp(jws.alg, ga_alg_name(alg)) != 0)
		reject("token", "has an algorithm that is unknown, or another than its key");
	if ((problem = ga_key_from_jwk(&key, alg, jwk)))
		reject("key", problem);
	ok = ga_key_verify(&key, jws.input, jws.input_bytes, jws.signature, jws.signature_bytes);
	ga_key_free(&key);
	if (!ok)
		reject("token", "has a wrong signature");
	return ga_bytea(jws.payload, jws.payload_bytes).value;
}

/* text (NUL-terminated) as base64url, appended. */
static void
append_segment(StringInfo token, const void *data, size_t bytes)
{
	size_t capacity = GA_B64URL_ENCODED_MAX(bytes);
	ssize_t length;

	enlargeStringInfo(token, (int) capacity);
	length = ga_b64url_encode(data, bytes, token->data + token->len, capacity);
	token->len += (int) length;
	token->data[token->len] = '\0';
}

/* Between reading the key and freeing it nothing may raise an error. */
static ssize_t
sign(const GaJwkRow *row, const StringInfoData *input, uint8 *signature)
{
	GaKey key;
	ssize_t length = -1;

	if (ga_key_from_der(&key, row->alg, (const uint8 *) VARDATA_ANY(row->key),
	                    VARSIZE_ANY_EXHDR(row->key), true) == NULL)
		length =
		    ga_key_sign(&key, input->data, (size_t) input->len, signature, GA_SIGNATURE_MAX_BYTES);
	ga_key_free(&key);
	return length;
}

static const char *
make_token(const GaJwkRow *row, const Jsonb *payload)
{
	Jsonb *header =
	    ga_json_pairs("alg", ga_alg_name(row->alg), "kid", row->kid, "typ", "JWT", NULL);
	char *text = JsonbToCString(NULL, &header->root, -1);
	uint8 signature[GA_SIGNATURE_MAX_BYTES];
	StringInfoData token;
	ssize_t length;

	initStringInfo(&token);
	append_segment(&token, text, strlen(text));
	appendStringInfoChar(&token, '.');
	text = JsonbToCString(NULL, (JsonbContainer *) &payload->root, -1);
	append_segment(&token, text, strlen(text));
	length = sign(row, &token, signature);
	if (length < 0)
		elog(ERROR, "could not sign a token with key \"%s\"", row->kid);
	appendStringInfoChar(&token, '.');
	append_segment(&token, signature, (size_t) length);
	if (token.len > GA_JWT_MAX_BYTES)
		ga_bad_argument("claims", "The token would be longer than 8192 bytes.");
	return token.data;
}

/* Members that the caller adds; none may say what this function says. */
static void
add_claims(GaJson *json, Jsonb *extra)
{
	static const char *const reserved[] = {"iss", "sub", "aud",  "exp",   "nbf",
	                                       "iat", "jti", "role", "roles", "tenant"};
	JsonbIterator *it = JsonbIteratorInit(&extra->root);
	JsonbIteratorToken token;
	JsonbValue value;
	size_t i;

	if (!JB_ROOT_IS_OBJECT(extra))
		ga_bad_argument("claims", "Further claims are a JSON object.");
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(value.val.string.val, value.val.string.len);
		for (i = 0; i < lengthof(reserved); i++)
		{
			if (strcmp(name, reserved[i]) == 0)
				ga_bad_argument("claims", psprintf("The claim \"%s\" is not the caller's.", name));
		}
		(void) JsonbIteratorNext(&it, &value, true);
		ga_json_jsonb(json, name, JsonbValueToJsonb(&value));
	}
}

static char *
new_token_id(void)
{
	uint8 random[16];
	char *id = palloc0(2 * sizeof(random) + 1);

	if (!pg_strong_random(random, sizeof(random)))
		elog(ERROR, "could not generate random bytes");
	hex_encode((const char *) random, sizeof(random), id);
	return id;
}

static void
check_role(const char *role)
{
	static GaStmt find = GA_READ("SELECT 1 FROM goldenarch.roles r WHERE r.role "
	                             "OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);

	if (ga_query(&find, ga_text(role)).count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role \"%s\" does not exist", role),
		         errhint("Create it with goldenarch.create_role().")));
}

static Jsonb *
make_payload(const GaJwkRow *row, const GaClaims *says, int64 ttl, Jsonb *extra)
{
	int64 now = (ga_now() + UNIX_EPOCH_US) / USECS_PER_SEC;
	GaJson json;

	ga_json_begin_object(&json);
	add_claims(&json, extra);
	if (row->issuer[0] != '\0')
		ga_json_text(&json, "iss", row->issuer);
	if (row->audience)
		ga_json_text(&json, "aud", row->audience);
	ga_json_text(&json, "sub", says->subject);
	ga_json_text(&json, "role", says->roles[0]);
	if (says->tenant[0] != '\0')
		ga_json_text(&json, "tenant", says->tenant);
	ga_json_text(&json, "jti", says->token_id);
	ga_json_int8(&json, "iat", now);
	ga_json_int8(&json, "exp", now + ttl);
	return ga_json_end(&json);
}

GA_FUNCTION(ga_issue_jwt);
Datum
ga_issue_jwt(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaJwkRow row;
	GaClaims says = {0};
	const char *role;
	const char *token;
	int64 ttl;
	text *result;

	ga_enter(&call, "system.admin");
	says.subject = ga_arg_text(fcinfo, 0, "subject");
	role = ga_arg_text(fcinfo, 1, "role");
	says.tenant = ga_tenant_for_new_row(call.principal, ga_arg_text_or_null(fcinfo, 2, "tenant"));
	ttl = ga_arg_interval_us(fcinfo, 3, "ttl", false) / USECS_PER_SEC;
	says.roles = &role;
	says.token_id = new_token_id();
	if (strlen(says.subject) > GA_SUBJECT_MAX_BYTES)
		ga_bad_argument("subject", "A subject has at most 256 bytes.");
	if (strlen(says.tenant) > GA_TENANT_MAX_BYTES)
		ga_bad_argument("tenant", "A tenant has at most 63 bytes.");
	if (ttl < 1 || ttl > GA_JWT_TTL_MAX_SECONDS)
		ga_bad_argument("ttl", "A token lives between one second and 366 days.");
	if (PG_ARGISNULL(4))
		ga_bad_argument("claims", "Further claims are a JSON object.");
	check_role(role);
	ga_jwk_signer(&row);
	token = make_token(&row, make_payload(&row, &says, ttl, PG_GETARG_JSONB_P(4)));
	/* A token counts wherever it is shown, so its row must not go with a rollback. */
	ga_audit_durable("issue_jwt", "token", says.token_id,
	                 ga_json_pairs("subject", says.subject, "role", role, "tenant", says.tenant,
	                               "kid", row.kid, NULL));
	MemoryContextSwitchTo(call.result_context);
	result = cstring_to_text(token);
	ga_leave(&call);
	PG_RETURN_TEXT_P(result);
}
