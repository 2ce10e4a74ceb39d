/* SPDX-License-Identifier: PostgreSQL */
/* jws.c: what a compact JWS must look like, and each thing in its header that is refused. */
#include "jws.h"

#include "b64url.h"
#include "limits.h"
#include "unit.h"

static char block[400000];

static const char *
split(const char *token, GaJws *jws)
{
	GaArena arena;

	ga_arena_init(&arena, block, sizeof(block));
	return ga_jws_split(&arena, token, strlen(token), GA_JWT_MAX_BYTES, jws);
}

/* the verdict on a token with this header, "eA" as payload and signature */
static const char *
header(const char *json)
{
	static GaJws jws;
	char token[4096];
	ssize_t n = ga_b64url_encode((const uint8_t *) json, strlen(json), token, sizeof(token) - 10);

	memcpy(token + n, ".eA.eA", 7);
	return split(token, &jws);
}

int
main(void)
{
	static char large[GA_JWT_MAX_BYTES + 2];
	GaJws jws;

	CHECK(split("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.dBjf", &jws) == NULL);
	CHECK(strcmp(jws.alg, "HS256") == 0 && strcmp(jws.typ, "JWT") == 0 && jws.kid == NULL);
	CHECK(jws.payload_bytes == 7 && memcmp(jws.payload, "{\"a\":1}", 7) == 0);
	CHECK_INT(jws.signature_bytes, 3);
	CHECK_INT(jws.input_bytes, 40 + 1 + 10);

	CHECK(split("", &jws) != NULL);
	CHECK(split("a.b", &jws) != NULL);
	CHECK(split("..", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.eA.eA", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.eB", &jws) != NULL); /* stray bits */
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA==.eA", &jws) != NULL);
	CHECK(split(" eyJhbGciOiJIUzI1NiJ9.eA.eA", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.eA\n", &jws) != NULL);
	memset(large, 'A', sizeof(large) - 1);
	CHECK(split(large, &jws) != NULL);

	/* an empty payload, and any bytes, are a payload; other serialisations are no token */
	CHECK(split("eyJhbGciOiJIUzI1NiJ9..eA", &jws) == NULL && jws.payload_bytes == 0);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9._wA.eA", &jws) == NULL && jws.payload_bytes == 2);
	CHECK(split(".eA.eA", &jws) != NULL);
	CHECK(split("{\"payload\":\"eA\",\"protected\":\"eyJhbGciOiJIUzI1NiJ9\",\"signature\":\"eA\"}",
	            &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.eA.eA.eA", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9 .eA.eA", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.e A.eA", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.e+", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.e/", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eA.eAAAA", &jws) != NULL); /* 4n+1 characters */
	CHECK(split("eyJhbGciOiJIUzI1NiJ9.eB.eA", &jws) != NULL);
	CHECK(split("eyJhbGciOiJIUzI1NiJ9\xc3\xa9.eA.eA", &jws) != NULL);

	CHECK(header("{\"alg\":\"ES256\",\"kid\":\"k\",\"cty\":\"x\"}") == NULL);
	CHECK(header(" {\n\t\"typ\" : \"anything/at+all\" , \"alg\" : \"ES256\" }\r\n") == NULL);
	CHECK(header("{\"x5t\":\"a\",\"x5t#S256\":\"b\",\"url\":\"u\",\"nonce\":[{\"a\":1}],\"alg\":"
	             "\"RS256\"}") == NULL);
	CHECK(header("{\"alg\":\"ES256\",\"kid\":\"' OR 1=1; --\"}") == NULL);
	CHECK(header("{\"alg\":\"\"}") == NULL); /* a name that no algorithm has */
	CHECK(header("\xef\xbb\xbf{\"alg\":\"HS256\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"x\":\"\xff\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"x\":\"\xed\xa0\x80\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"x\":\"\\ud800\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\\u0000\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"x\":\"\x01\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",}") != NULL);
	CHECK(header("{\"alg\":\"HS256\"/**/}") != NULL);
	CHECK(header("{'alg':'HS256'}") != NULL);
	CHECK(header("{\"alg\":[\"HS256\"]}") != NULL);
	CHECK(header("{\"ALG\":\"HS256\"}") != NULL);
	CHECK(header("{\"alg\":\"nOnE\",\"alg\":\"HS256\"}") != NULL);
	CHECK(header("{\"alg\":\"NONE\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"crit\":[]}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"crit\":null}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"b64\":true}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"typ\":7}") != NULL);
	CHECK(header("{\"alg\":\"none\"}") != NULL);
	CHECK(header("{\"alg\":\"NoNe\"}") != NULL);
	CHECK(header("{}") != NULL);
	CHECK(header("[]") != NULL);
	CHECK(header("{\"alg\":1}") != NULL);
	CHECK(header("{\"alg\":null}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"alg\":\"none\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\"}x") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"kid\":\"\"}") == NULL); /* the key table knows no such kid */
	CHECK(header("{\"alg\":\"HS256\",\"kid\":7}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"b64\":false}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"zip\":\"DEF\"}") != NULL);
	CHECK(header("{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\"}}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"jku\":\"https://x\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"x5c\":[]}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"x5u\":\"https://x\"}") != NULL);
	CHECK(header("{\"alg\":\"HS256\",\"a\":[[[[[[[[[1]]]]]]]]]}") != NULL);
	return unit_done();
}
