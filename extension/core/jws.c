/* SPDX-License-Identifier: PostgreSQL */
/*
 * jws.c: see jws.h.
 */
#include "jws.h"

#include <string.h>
#include <strings.h>

#include "b64url.h"
#include "limits.h"

const GaJsonLimits ga_jwt_json_limits = {.bytes_max = GA_JWS_MAX_BYTES,
                                         .depth_max = GA_JWT_DEPTH_MAX,
                                         .values_max = GA_JWT_VALUES_MAX,
                                         .string_max_bytes = GA_JWS_MAX_BYTES,
                                         .digits_max = 40,
                                         .exponent_max = 20};

static const char *
decode(GaArena *arena, const char *text, size_t bytes, const uint8_t **data, size_t *data_bytes)
{
	size_t capacity = GA_B64URL_DECODED_MAX(bytes);
	uint8_t *out = ga_arena_alloc(arena, capacity + 1);
	ssize_t length;

	if (out == NULL)
		return "is too large";
	length = ga_b64url_decode(text, bytes, out, capacity);
	if (length < 0)
		return "is not strict base64url";
	out[length] = '\0';
	*data = out;
	*data_bytes = (size_t) length;
	return NULL;
}

/* An optional header member that must be a string when it is there. */
static const char *
optional_string(const GaJsonNode *header, const char *name, const char **value)
{
	const GaJsonNode *node = ga_json_member(header, name);

	*value = NULL;
	if (node == NULL)
		return NULL;
	*value = ga_json_string(node);
	return *value != NULL ? NULL : "has a header member that is not a string";
}

static const char *
judge_header(const GaJsonNode *header, GaJws *jws)
{
	static const char *const refused[] = {"crit", "b64", "zip", "enc", "jwk", "jku", "x5c", "x5u"};
	const char *problem;

	if (header == NULL || header->type != GA_JSON_OBJECT)
		return "has a header that is not one strict JSON object";
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
	{
		if (ga_json_member(header, refused[i]) != NULL)
			return "has a header member that is refused (crit, b64, zip, enc, jwk, jku, x5c, x5u)";
	}
	if ((problem = optional_string(header, "alg", &jws->alg)) != NULL ||
	    (problem = optional_string(header, "kid", &jws->kid)) != NULL ||
	    (problem = optional_string(header, "typ", &jws->typ)) != NULL)
		return problem;
	if (jws->alg == NULL)
		return "names no algorithm";
	if (strcasecmp(jws->alg, "none") == 0)
		return "is not signed (alg none)";
	return NULL;
}

const char *
ga_jws_split(GaArena *arena, const char *token, size_t bytes, size_t bytes_max, GaJws *jws)
{
	const char *first;
	const char *second;
	const char *end = token + bytes;
	const uint8_t *header;
	size_t header_bytes;
	const char *problem;
	GaJsonFault fault;

	memset(jws, 0, sizeof(*jws));
	if (bytes > bytes_max)
		return "is too long";
	first = memchr(token, '.', bytes);
	second = first != NULL ? memchr(first + 1, '.', (size_t) (end - first - 1)) : NULL;
	if (second == NULL || memchr(second + 1, '.', (size_t) (end - second - 1)) != NULL)
		return "is not three segments";
	if ((problem = decode(arena, token, (size_t) (first - token), &header, &header_bytes)) ||
	    (problem = decode(arena, first + 1, (size_t) (second - first - 1), &jws->payload,
	                      &jws->payload_bytes)) ||
	    (problem = decode(arena, second + 1, (size_t) (end - second - 1), &jws->signature,
	                      &jws->signature_bytes)))
		return problem;
	problem = judge_header(
	    ga_json_parse(arena, (const char *) header, header_bytes, &ga_jwt_json_limits, 0, &fault),
	    jws);
	if (problem == NULL && jws->signature_bytes == 0)
		problem = "has no signature";
	jws->input = token;
	jws->input_bytes = (size_t) (second - token);
	return problem;
}
