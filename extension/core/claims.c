/* SPDX-License-Identifier: PostgreSQL */
/*
 * claims.c: see claims.h.
 */
#include "claims.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_SECOND 1000000
#define NUMERIC_DATE_MAX 253402300800.0 /* the year 10000 */
#define NUMBER_MAX_BYTES 80             /* of what the limits of jws.h let through */

/* A NumericDate; false when the claim is there and none. Absent: *time_us stays. */
static bool
read_time(const GaJsonNode *root, const char *name, int64_t *time_us)
{
	const GaJsonNode *node = ga_json_member(root, name);
	char number[NUMBER_MAX_BYTES];
	double seconds;

	if (node == NULL)
		return true;
	if (node->type != GA_JSON_NUMBER || node->bytes >= sizeof(number))
		return false;
	memcpy(number, node->text, node->bytes);
	number[node->bytes] = '\0';
	seconds = strtod(number, NULL);
	if (!isfinite(seconds) || seconds < 0 || seconds >= NUMERIC_DATE_MAX)
		return false;
	*time_us = (int64_t) (seconds * US_PER_SECOND);
	return true;
}

static const char *
judge_times(const GaJsonNode *root, int64_t now_us, GaTokenClaims *claims)
{
	int64_t soon = now_us + (int64_t) GA_JWT_LEEWAY_SECONDS * US_PER_SECOND;
	int64_t not_before = 0;
	int64_t issued = 0;

	if (ga_json_member(root, "exp") == NULL)
		return "has no expiry (exp)";
	if (!read_time(root, "exp", &claims->expires_us) || !read_time(root, "nbf", &not_before) ||
	    !read_time(root, "iat", &issued))
		return "has a time that is no number of seconds before the year 10000 (exp, nbf, iat)";
	if (claims->expires_us <= now_us)
		return "is expired (exp)";
	if (not_before > soon)
		return "is not valid yet (nbf)";
	if (issued > soon)
		return "was issued in the future (iat)";
	return NULL;
}

/* An optional string of 1 to max bytes. */
static bool
read_string(const GaJsonNode *root, const char *name, size_t max, const char **value)
{
	const GaJsonNode *node = ga_json_member(root, name);

	*value = NULL;
	if (node == NULL)
		return true;
	*value = ga_json_string(node);
	return *value != NULL && (*value)[0] != '\0' && strlen(*value) <= max;
}

/* A string, or an array of strings; one of them is the one wanted. */
static const char *
judge_audience(const GaJsonNode *root, const char *wanted)
{
	const GaJsonNode *audience = ga_json_member(root, "aud");
	const GaJsonNode *node = audience;
	bool found = wanted == NULL;

	if (audience != NULL && audience->type == GA_JSON_ARRAY)
		node = audience->child;
	for (; node != NULL; node = node == audience ? NULL : node->next)
	{
		const char *text = ga_json_string(node);

		if (text == NULL)
			return "has an audience that is neither a string nor strings (aud)";
		found = found || strcmp(text, wanted) == 0;
	}
	return found ? NULL : "is not for this audience (aud)";
}

static bool
add_role(GaTokenClaims *claims, const char *role)
{
	if (role == NULL || role[0] == '\0' || strlen(role) > GA_NAME_MAX_BYTES ||
	    claims->nroles == GA_ROLES_PER_SUBJECT_MAX)
		return false;
	claims->roles[claims->nroles++] = role;
	return true;
}

static const char *
read_roles(const GaJsonNode *root, GaTokenClaims *claims)
{
	const GaJsonNode *one = ga_json_member(root, "role");
	const GaJsonNode *many = ga_json_member(root, "roles");
	bool ok = one == NULL || add_role(claims, ga_json_string(one));

	if (many != NULL && many->type != GA_JSON_ARRAY)
		return "has a claim \"roles\" that is not an array";
	for (const GaJsonNode *node = many != NULL ? many->child : NULL; node != NULL;
	     node = node->next)
		ok = ok && add_role(claims, ga_json_string(node));
	return ok ? NULL : "names a role that is not a string of 1 to 128 bytes, or more than 32";
}

static const char *
read_tenant(const GaJsonNode *root, GaTokenClaims *claims)
{
	if (!read_string(root, "tenant", GA_TENANT_MAX_BYTES, &claims->tenant))
		return "has a tenant that is not a string of 1 to 63 bytes";
	if (claims->tenant == NULL)
		claims->tenant = "";
	for (const char *c = claims->tenant; *c != '\0'; c++)
	{
		if (*c < 0x21 || *c > 0x7e)
			return "has a tenant that is not visible ASCII";
	}
	return NULL;
}

const char *
ga_claims_issuer(const GaJsonNode *root, const char **issuer)
{
	if (root == NULL || root->type != GA_JSON_OBJECT)
		return "has claims that are not one strict JSON object";
	return read_string(root, "iss", GA_SUBJECT_MAX_BYTES, issuer)
	           ? NULL
	           : "has an issuer that is not a string of 1 to 256 bytes (iss)";
}

const char *
ga_claims_judge(const GaJsonNode *root, const char *audience, int64_t now_us, GaTokenClaims *claims)
{
	const char *problem;

	memset(claims, 0, sizeof(*claims));
	if ((problem = judge_times(root, now_us, claims)) != NULL ||
	    (problem = judge_audience(root, audience)) != NULL)
		return problem;
	if (!read_string(root, "sub", GA_SUBJECT_MAX_BYTES, &claims->subject))
		return "has a subject that is not a string of 1 to 256 bytes (sub)";
	if (!read_string(root, "jti", GA_NAME_MAX_BYTES, &claims->token_id))
		return "has an id that is not a string of 1 to 128 bytes (jti)";
	if ((problem = read_tenant(root, claims)) != NULL)
		return problem;
	return read_roles(root, claims);
}
