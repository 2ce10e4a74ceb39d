/* SPDX-License-Identifier: PostgreSQL */
/* b64url.c: RFC 4648 vectors, and one encoding for one value. */
#include "b64url.h"

#include "unit.h"

static void
test_vectors(void)
{
	static const char *const pairs[][2] = {
	    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},      {"foo", "Zm9v"},
	    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"\xfb\xff", "-_8"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		const char *plain = pairs[i][0];
		const char *coded = pairs[i][1];
		char text[32];
		uint8_t data[32];

		CHECK_INT(ga_b64url_encode((const uint8_t *) plain, strlen(plain), text, strlen(coded)),
		          strlen(coded));
		CHECK(memcmp(text, coded, strlen(coded)) == 0);
		CHECK_INT(ga_b64url_decode(coded, strlen(coded), data, strlen(plain)), strlen(plain));
		CHECK(memcmp(data, plain, strlen(plain)) == 0);
		if (strlen(plain) > 0)
		{
			CHECK_INT(ga_b64url_decode(coded, strlen(coded), data, strlen(plain) - 1), -1);
			CHECK_INT(
			    ga_b64url_encode((const uint8_t *) plain, strlen(plain), text, strlen(coded) - 1),
			    -1);
		}
	}
}

static void
test_strict(void)
{
	static const char *const bad[] = {"Z",    "Zg=", "Zg==", "Zh",    "Zm9", "Zm9vY",
	                                  "Zm 8", "+_8", "-/8",  "Zm8\n", "\n",  "Zm\xc3\xb6"};
	uint8_t data[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(ga_b64url_decode(bad[i], strlen(bad[i]), data, sizeof(data)), -1);
	CHECK_INT(ga_b64url_decode("Zg\0A", 4, data, sizeof(data)), -1);
}

static void
test_round_trip(void)
{
	uint64_t random = 11;

	for (int n = 0; n < 200; n++)
	{
		uint8_t data[200];
		uint8_t back[202];
		char text[270];
		ssize_t length;

		for (int i = 0; i < n; i++)
			data[i] = (uint8_t) unit_random(&random);
		length = ga_b64url_encode(data, (size_t) n, text, sizeof(text));
		CHECK(length >= 0 && (size_t) length <= GA_B64URL_ENCODED_MAX((size_t) n));
		CHECK_INT(ga_b64url_decode(text, (size_t) length, back, sizeof(back)), n);
		CHECK(memcmp(data, back, (size_t) n) == 0);
	}
}

int
main(void)
{
	test_vectors();
	test_strict();
	test_round_trip();
	return unit_done();
}
