/* SPDX-License-Identifier: PostgreSQL */
/* claims.c: one row a trap of RFC 7519 and RFC 8725, and what is honest and must pass. */
#include "claims.h"

#include <inttypes.h>

#include "jws.h"
#include "unit.h"

#define NOW_US INT64_C(1500000000000000)

static char block[400000];

/* The verdict on claims for audience "aud" at 1500000000: null when they are good. */
static const char *
judge(const char *json, GaTokenClaims *claims)
{
	GaArena arena;
	GaJsonFault fault;
	const GaJsonNode *root;
	const char *issuer;
	const char *problem;

	ga_arena_init(&arena, block, sizeof(block));
	root = ga_json_parse(&arena, json, strlen(json), &ga_jwt_json_limits, 0, &fault);
	problem = ga_claims_issuer(root, &issuer);
	return problem != NULL ? problem : ga_claims_judge(root, "aud", NOW_US, claims);
}

static const struct
{
	const char *claims;
	const char *problem; /* a part of it; null: good */
} table[] = {
    {"{\"aud\":\"aud\",\"exp\":1500000001}", NULL},
    {"{\"exp\":1500000001,\"aud\":[\"x\",\"aud\"],\"sub\":\"a\",\"iss\":\"i\",\"x\":{\"y\":[1]}}",
     NULL},
    {" {\"aud\" : \"aud\" , \"exp\" : 1.6e9 }\n", NULL},
    {"{\"aud\":\"aud\",\"exp\":1500000000.5}", NULL},
    {"{\"aud\":\"aud\",\"exp\":253402300799}", NULL},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"nbf\":1500000030,\"iat\":1500000030}", NULL},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"nbf\":0,\"iat\":-0}", NULL},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"role\":\"r\",\"roles\":[\"s\"],\"tenant\":\"acme\"}", NULL},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":\"a!~\",\"jti\":\"\\u00e9\"}", NULL},
    /* times */
    {"{\"aud\":\"aud\"}", "no expiry"},
    {"{\"aud\":\"aud\",\"exp\":null}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":true}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":\"2000000000\"}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":[2000000000]}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":{\"$numberLong\":\"2000000000\"}}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":253402300800}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":9223372036854775808}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":1e19}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":1e400}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":-1}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":1500000000}", "expired"},
    {"{\"aud\":\"aud\",\"exp\":1499999999.999999}", "expired"},
    {"{\"aud\":\"aud\",\"exp\":1e-5}", "expired"},
    {"{\"aud\":\"aud\",\"exp\":0}", "expired"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"exp\":1}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"EXP\":2e9}", "no expiry"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"nbf\":1500000031}", "not valid yet"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"nbf\":\"1\"}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"nbf\":-5}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"iat\":1500000031}", "in the future"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"iat\":null}", "no number of seconds"},
    {"{\"aud\":\"aud\",\"exp\":NaN}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":Infinity}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":0x7fffffff}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2000000000000000000000000000000000000000000000000}",
     "not one strict JSON object"},
    /* audience and issuer */
    {"{\"exp\":2e9}", "not for this audience"},
    {"{\"exp\":2e9,\"aud\":null}", "neither a string nor strings"},
    {"{\"exp\":2e9,\"aud\":[]}", "not for this audience"},
    {"{\"exp\":2e9,\"aud\":\"\"}", "not for this audience"},
    {"{\"exp\":2e9,\"aud\":\"AUD\"}", "not for this audience"},
    {"{\"exp\":2e9,\"aud\":\"aud \"}", "not for this audience"},
    {"{\"exp\":2e9,\"aud\":\"aud,other\"}", "not for this audience"},
    {"{\"exp\":2e9,\"aud\":[[\"aud\"]]}", "neither a string nor strings"},
    {"{\"exp\":2e9,\"aud\":[\"aud\",7]}", "neither a string nor strings"},
    {"{\"exp\":2e9,\"aud\":{\"aud\":1}}", "neither a string nor strings"},
    {"{\"exp\":2e9,\"aud\":true}", "neither a string nor strings"},
    {"{\"exp\":2e9,\"aud\":\"aud\",\"iss\":7}", "an issuer that is not"},
    {"{\"exp\":2e9,\"aud\":\"aud\",\"iss\":\"\"}", "an issuer that is not"},
    {"{\"exp\":2e9,\"aud\":\"aud\",\"iss\":[\"i\"]}", "an issuer that is not"},
    /* who */
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":7}", "a subject that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":\"\"}", "a subject that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":null}", "a subject that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":\"a\",\"sub\":\"admin\"}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":\"a\",\"s\\u0075b\":\"admin\"}",
     "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":\"a\\u0000dmin\"}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":\"\\ud800\"}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"sub\":\"\xff\"}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"jti\":\"\"}", "an id that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"jti\":1}", "an id that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":\"\"}", "a tenant that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":null}", "a tenant that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":\"a b\"}", "not visible ASCII"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":\"b\\u00e4r\"}", "not visible ASCII"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":\"\\u007f\"}", "not visible ASCII"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"tenant\":"
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
     "a tenant that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"roles\":\"admin\"}", "not an array"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"roles\":[\"x\",null]}", "names a role that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"role\":[\"x\"]}", "names a role that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"role\":\"\"}", "names a role that is not"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"roles\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
     "\"9\",\"0\","
     "\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"0\",\"1\",\"2\",\"3\",\"4\",\"5\","
     "\"6\","
     "\"7\",\"8\",\"9\",\"0\",\"1\",\"2\",\"3\"]}",
     "names a role that is not"},
    /* what is no claims set */
    {"", "not one strict JSON object"},
    {"[]", "not one strict JSON object"},
    {"null", "not one strict JSON object"},
    {"\"x\"", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9}{}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,}", "not one strict JSON object"},
    {"\xef\xbb\xbf{\"aud\":\"aud\",\"exp\":2e9}", "not one strict JSON object"},
    {"{\"aud\":\"aud\",\"exp\":2e9,\"a\":[[[[[[[[1]]]]]]]]}", "not one strict JSON object"},
};

int
main(void)
{
	GaTokenClaims claims;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
	{
		const char *problem = judge(table[i].claims, &claims);
		bool expected = table[i].problem == NULL
		                    ? problem == NULL
		                    : problem != NULL && strstr(problem, table[i].problem) != NULL;

		if (!expected)
			printf("claims %s: %s\n", table[i].claims, problem != NULL ? problem : "accepted");
		CHECK(expected);
	}
	CHECK(
	    judge("{\"aud\":\"aud\",\"exp\":1500000000.25,\"sub\":\"a\",\"jti\":\"j\",\"tenant\":\"t\","
	          "\"role\":\"r\",\"roles\":[\"s\",\"r\"]}",
	          &claims) == NULL);
	CHECK_INT(claims.expires_us, NOW_US + 250000);
	CHECK(strcmp(claims.subject, "a") == 0 && strcmp(claims.token_id, "j") == 0);
	CHECK(strcmp(claims.tenant, "t") == 0);
	CHECK(claims.nroles == 3 && strcmp(claims.roles[0], "r") == 0 &&
	      strcmp(claims.roles[1], "s") == 0);
	CHECK(judge("{\"aud\":\"aud\",\"exp\":2e9}", &claims) == NULL);
	CHECK(claims.subject == NULL && claims.token_id == NULL && claims.nroles == 0 &&
	      claims.tenant[0] == '\0');
	return unit_done();
}
