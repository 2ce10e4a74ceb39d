/* SPDX-License-Identifier: PostgreSQL */
/*
 * JSON Web Tokens: verify_jwt, jws_verify, issue_jwt (RFC 7515, 7519, 8725).
 *
 * The order is: shape, header, key, signature, claims; nothing of the payload is believed before
 * the signature but "iss", and that only to find the key. exp is required and has no leeway, since
 * an identity ends with it; nbf and iat have 30 s. Fixed memory: the arena ends with the statement.
 */
#include "identity.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "common/string.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "b64url.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "jwk.h"
#include "jws.h"
#include "rbac.h"

#define ARENA_MAX_BYTES (4 * 1024 * 1024)
#define UNIX_EPOCH_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC)
#define NUMERIC_DATE_MAX 253402300800.0 /* the year 10000 */

static void *
grow(void *context, size_t bytes)
{
	(void) context;
	return palloc(bytes);
}

/* A NumericDate; absent is allowed unless required. */
static const char *
read_time(const GaJsonNode *claims, const char *name, bool required, TimestampTz *time)
{
	const GaJsonNode *node = ga_json_member(claims, name);
	char *end;
	double seconds;

	*time = DT_NOBEGIN;
	if (!node)
		return required ? psprintf("has no expiry (%s)", name) : NULL;
	if (node->type != GA_JSON_NUMBER)
		return psprintf("has a claim \"%s\" that is not a number", name);
	seconds = strtod(pnstrdup(node->text, node->bytes), &end);
	if (!isfinite(seconds) || seconds < 0 || seconds >= NUMERIC_DATE_MAX)
		return psprintf("has a claim \"%s\" out of range", name);
	*time = (TimestampTz) floor(seconds * USECS_PER_SEC) - UNIX_EPOCH_US;
	return NULL;
}

static const char *
check_times(const GaJsonNode *root, GaClaims *claims)
{
	TimestampTz now = ga_now();
	TimestampTz soon = now + GA_JWT_LEEWAY_SECONDS * USECS_PER_SEC;
	TimestampTz not_before;
	TimestampTz issued;
	const char *problem;

	if ((problem = read_time(root, "exp", true, &claims->expires_at)) ||
	    (problem = read_time(root, "nbf", false, &not_before)) ||
	    (problem = read_time(root, "iat", false, &issued)))
		return problem;
	if (claims->expires_at <= now)
		return "is expired (exp)";
	if (not_before > soon)
		return "is not valid yet (nbf)";
	if (issued > soon)
		return "was issued in the future (iat)";
	return NULL;
}

/* An optional string of 1 to max bytes. */
static const char *
read_string(const GaJsonNode *root, const char *name, size_t max, const char **value)
{
	const GaJsonNode *node = ga_json_member(root, name);

	*value = NULL;
	if (!node)
		return NULL;
	*value = ga_json_string(node);
	if (!*value || (*value)[0] == '\0' || strlen(*value) > max)
		return psprintf("has a claim \"%s\" that is not a string of 1 to %zu bytes", name, max);
	return NULL;
}

static const char *
check_audience(const GaJsonNode *root, const char *wanted)
{
	const GaJsonNode *audience = ga_json_member(root, "aud");
	const GaJsonNode *node = audience;

	if (!wanted)
		return NULL;
	if (audience && audience->type == GA_JSON_ARRAY)
		node = audience->child;
	for (; node; node = node == audience ? NULL : node->next)
	{
		const char *text = ga_json_string(node);

		if (text && strcmp(text, wanted) == 0)
			return NULL;
	}
	return "is not for this audience (aud)";
}

static const char *
add_role(GaClaims *claims, const char *role)
{
	if (!role || role[0] == '\0' || strlen(role) > GA_NAME_MAX_BYTES)
		return "names a role that is not a string of 1 to 128 bytes";
	if (claims->nroles == GA_ROLES_PER_SUBJECT_MAX)
		return "names too many roles";
	claims->roles[claims->nroles++] = role;
	return NULL;
}

static const char *
read_roles(const GaJsonNode *root, GaClaims *claims)
{
	const GaJsonNode *one = ga_json_member(root, "role");
	const GaJsonNode *many = ga_json_member(root, "roles");
	const GaJsonNode *node;
	const char *problem = NULL;

	claims->roles = palloc0(sizeof(char *) * (GA_ROLES_PER_SUBJECT_MAX + 1));
	if (one)
		problem = add_role(claims, ga_json_string(one));
	if (many && many->type != GA_JSON_ARRAY)
		return "has a claim \"roles\" that is not an array";
	for (node = many ? many->child : NULL; node && !problem; node = node->next)
		problem = add_role(claims, ga_json_string(node));
	return problem;
}

static const char *
read_tenant(const GaJsonNode *root, GaClaims *claims)
{
	const char *problem = read_string(root, "tenant", GA_TENANT_MAX_BYTES, &claims->tenant);
	const char *c;

	if (problem)
		return problem;
	if (!claims->tenant)
		claims->tenant = "";
	for (c = claims->tenant; *c; c++)
	{
		if ((unsigned char) *c < 0x21 || (unsigned char) *c > 0x7e)
			return "has a tenant that is not visible ASCII";
	}
	return NULL;
}

static const char *
read_claims(const GaJsonNode *root, const GaJwkRow *key, GaClaims *claims)
{
	const char *problem;

	if ((problem = check_times(root, claims)) || (problem = check_audience(root, key->audience)) ||
	    (problem = read_string(root, "sub", GA_SUBJECT_MAX_BYTES, &claims->subject)) ||
	    (problem = read_string(root, "jti", GA_NAME_MAX_BYTES, &claims->token_id)) ||
	    (problem = read_tenant(root, claims)))
		return problem;
	return read_roles(root, claims);
}

static bool
revoked(const char *token_id, bool *perhaps_old)
{
	static GaStmt find =
	    GA_READ("SELECT r.until::pg_catalog.timestamptz FROM goldenarch.revoked_tokens r "
	            "WHERE r.token_id OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	GaCall call;
	GaRows rows;
	bool latest;
	bool found;

	ga_enter(&call, NULL);
	latest = ga_push_latest_snapshot();
	rows = ga_query(&find, ga_text(token_id));
	if (latest)
		PopActiveSnapshot();
	else
		*perhaps_old = true;
	found = rows.count > 0 && ga_row_timestamp(&rows, 0, 1) > ga_now();
	ga_leave(&call);
	return found;
}

/* The key the header names; without a kid, the only one there is for its algorithm. */
static const char *
find_key(const GaJws *jws, const char *issuer, const GaJwkRow **key)
{
	GaJwkRow *rows;
	int n = ga_jwk_candidates(jws->kid, issuer, &rows);
	int matching = 0;
	int i;

	*key = NULL;
	if (jws->kid)
	{
		if (n == 0)
			return "names an unknown key (kid) or issuer";
		*key = &rows[0];
		if (strcmp(jws->alg, ga_alg_name(rows[0].alg)) != 0)
			return "has another algorithm than its key";
		return NULL;
	}
	for (i = 0; i < n; i++)
	{
		if (strcmp(jws->alg, ga_alg_name(rows[i].alg)) == 0)
		{
			matching++;
			*key = &rows[i];
		}
	}
	return matching == 1 ? NULL : "names no key (kid), and it is not clear which one is meant";
}

static bool
acceptable_type(const char *typ)
{
	return !typ || pg_strcasecmp(typ, "JWT") == 0 || pg_strcasecmp(typ, "at+jwt") == 0 ||
	       pg_strcasecmp(typ, "application/at+jwt") == 0;
}

const char *
ga_jwt_verify_afresh(const char *token, GaClaims *claims)
{
	GaArena arena;
	GaJws jws;
	GaJsonFault fault;
	const GaJsonNode *root;
	const GaJwkRow *row;
	const GaKey *key;
	const char *issuer;
	const char *problem;

	memset(claims, 0, sizeof(*claims));
	ga_arena_init_growing(&arena, grow, NULL, ARENA_MAX_BYTES);
	problem = ga_jws_split(&arena, token, strlen(token), GA_JWT_MAX_BYTES, &jws);
	if (problem)
		return problem;
	claims->kid = jws.kid;
	if (!acceptable_type(jws.typ))
		return "is of another type (typ)";
	root = ga_json_parse(&arena, (const char *) jws.payload, jws.payload_bytes, &ga_jwt_json_limits,
	                     0, &fault);
	if (!root || root->type != GA_JSON_OBJECT)
		return "has claims that are not one strict JSON object";
	if ((problem = read_string(root, "iss", GA_SUBJECT_MAX_BYTES, &issuer)) ||
	    (problem = find_key(&jws, issuer, &row)))
		return problem;
	key = ga_jwk_parsed(row->alg, row->key);
	if (!key || !ga_key_verify(key, jws.input, jws.input_bytes, jws.signature, jws.signature_bytes))
		return "has a wrong signature";
	if ((problem = read_claims(root, row, claims)))
		return problem;
	claims->payload = (const char *) jws.payload;
	claims->perhaps_old = IsInParallelMode();
	if (claims->token_id && revoked(claims->token_id, &claims->perhaps_old))
		return "is revoked";
	return NULL;
}

static void
reject(const char *problem)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("token rejected"),
	                errdetail("The token %s.", problem)));
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
		reject(problem);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(claims.payload));
}

static GaAlg
algorithm_of(FunctionCallInfo fcinfo, const GaJsonNode *jwk)
{
	char *named = ga_arg_text_or_null(fcinfo, 2, "alg");
	const char *name = named ? named : ga_json_string(ga_json_member(jwk, "alg"));
	GaAlg alg = name ? ga_alg_by_name(name) : GA_ALG_UNKNOWN;

	if (!name)
		ga_bad_argument("alg", "The key names no algorithm of its own.");
	if (alg == GA_ALG_UNKNOWN && named)
		ga_bad_argument("alg", "The algorithm is not one of HS, RS, PS, ES 256-512 and EdDSA.");
	return alg;
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
	jwk = ga_json_parse(&arena, text, strlen(text), &ga_jwt_json_limits, 0, &fault);
	alg = algorithm_of(fcinfo, jwk);
	problem = ga_jws_split(&arena, token, strlen(token), GA_JWS_MAX_BYTES, &jws);
	if (problem)
		reject(problem);
	if ((problem = ga_key_from_jwk(&key, alg, jwk)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
		                errmsg("token rejected"), errdetail("The key %s.", problem)));
	ok = strcmp(jws.alg, ga_alg_name(alg)) == 0 &&
	     ga_key_verify(&key, jws.input, jws.input_bytes, jws.signature, jws.signature_bytes);
	ga_key_free(&key);
	if (!ok)
		reject("has another algorithm than its key, or a wrong signature");
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
