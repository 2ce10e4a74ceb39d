/* SPDX-License-Identifier: PostgreSQL */
/*
 * note.c: a checkpoint that another implementation signed (Python cryptography, seed 01 .. 20),
 * keys that Go's checksum database publishes, and notes that are none.
 */
#include "note.h"

#include "digest.h"
#include "unit.h"

#define DASH "\xe2\x80\x94 "
#define BODY "log.example/1\n70000\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n"
#define PLAIN                                                                        \
	DASH "log.example/1 Ulq/tIQBErMMZh9Na9bZckCrN2du1DxgX3OQn+IShJpFDBOHHM9hmn7w4V0" \
	     "Wj3e1Hw2xjQwO0MY6/Y/GXQiy8ECJJgk=\n"
#define TIMED                                                                        \
	DASH "log.example/1 E/AnFwAAAABlU/EAoh+yFFHwjvPjNGqB2MXfej2ETrQEXk7+jatCZJktRRg" \
	     "aoCQ9P+T+Kqpd0+pQhueVJOggLTZM9AtiHK24gh1gCQ==\n"
#define VKEY "log.example/1+525abfb4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk"

static uint8_t seeds[2][GA_ED25519_KEY_BYTES];
static GaNoteKey key;

static bool
parses(const char *text)
{
	GaCheckpoint head;

	return ga_checkpoint_parse(text, strlen(text), &head);
}

static void
check_vkey(const char *text, const char *name)
{
	GaNoteKey read;
	char again[GA_VKEY_MAX_BYTES];

	CHECK(ga_vkey_parse(text, strlen(text), &read) && strcmp(read.name, name) == 0);
	CHECK(ga_vkey_format(&read, again, sizeof(again)) && strcmp(again, text) == 0);
	CHECK(ga_vkey_format(&read, again, strlen(text) + 1));
	CHECK(!ga_vkey_format(&read, again, strlen(text)));
}

static void
check_vkeys(void)
{
	static const char *const bad[] = {
	    "",
	    "+",
	    "++",
	    "name",
	    "log.example/1+525abfb4",
	    "log.example/1+525abfb4+",
	    "log.example/1+525ABFB4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
	    "log.example/1+525abfb5+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
	    "log.example/2+525abfb4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
	    "log.example/1+525abfb4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk\n",
	    "log.example/1+525abfb4+BHm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
	    "log.example/1+525abfb4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW-1-DjkQutBJZk",
	    "log.example/1+525abfb4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZ=",
	    "log.example/1-525abfb4+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
	};
	GaNoteKey read;
	char long_name[400];

	check_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
	           "PeterNeumann");
	check_vkey("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
	           "sum.golang.org");
	check_vkey(VKEY, "log.example/1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!ga_vkey_parse(bad[i], strlen(bad[i]), &read));
	memset(long_name, 'a', sizeof(long_name));
	CHECK(!ga_vkey_parse(long_name, sizeof(long_name), &read));
	long_name[GA_NOTE_NAME_MAX_BYTES + 1] = '\0';
	CHECK(!ga_note_name_ok(long_name));
	long_name[GA_NOTE_NAME_MAX_BYTES] = '\0';
	CHECK(ga_note_name_ok(long_name));
	CHECK(!ga_note_name_ok(""));
	CHECK(!ga_note_name_ok("a b"));
	CHECK(!ga_note_name_ok("a+b"));
	CHECK(!ga_note_name_ok("a\n"));
	CHECK(!ga_note_name_ok("a\xc3\xa4"));
}

static void
check_signing(void)
{
	char note[GA_NOTE_MAX_BYTES];
	char body[300];
	uint8_t root[GA_HASH_BYTES];
	const GaBytes piece = {"root", 4};
	GaCheckpoint head;
	int64_t seconds;
	size_t bytes;

	CHECK(ga_sha256(&piece, 1, root));
	CHECK_INT(ga_checkpoint_body("log.example/1", 70000, root, body, sizeof(body)), strlen(BODY));
	CHECK(strcmp(body, BODY) == 0);
	CHECK_INT(ga_checkpoint_body("log.example/1", 70000, root, body, strlen(BODY)), 0);
	CHECK_INT(ga_checkpoint_body("log example", 70000, root, body, sizeof(body)), 0);
	CHECK_INT(ga_checkpoint_body("log", UINT64_MAX, root, body, sizeof(body)), 0);

	bytes = ga_checkpoint_sign(BODY, strlen(BODY), "log.example/1",
	                           (const uint8_t(*)[GA_ED25519_KEY_BYTES]) seeds, 1, 1700000000, note,
	                           sizeof(note));
	CHECK(bytes == strlen(note) && strcmp(note, BODY "\n" PLAIN TIMED) == 0);
	CHECK_INT(ga_checkpoint_sign(BODY, strlen(BODY), "log.example/1",
	                             (const uint8_t(*)[GA_ED25519_KEY_BYTES]) seeds, 1, 1700000000,
	                             note, bytes),
	          0);
	CHECK_INT(
	    ga_checkpoint_sign(BODY, strlen(BODY), "log.example/1", NULL, 0, 0, note, sizeof(note)),
	    strlen(BODY) + 1);
	CHECK(ga_checkpoint_parse(note, strlen(note), &head) && head.nsignatures == 0);
	CHECK_INT(ga_checkpoint_verify(&head, &key), GA_NOTE_UNSIGNED);

	bytes = ga_checkpoint_sign(BODY, strlen(BODY), "log.example/1",
	                           (const uint8_t(*)[GA_ED25519_KEY_BYTES]) seeds, 2, 1700000000, note,
	                           sizeof(note));
	CHECK(ga_checkpoint_parse(note, bytes, &head) && head.nsignatures == 4);
	CHECK_INT(ga_checkpoint_verify(&head, &key), GA_NOTE_GOOD);
	CHECK_INT(ga_checkpoint_time(&head, &key, &seconds), GA_NOTE_GOOD);
	CHECK_INT(seconds, 1700000000);
	CHECK_INT(ga_checkpoint_sign(BODY, strlen(BODY), "log.example/1",
	                             (const uint8_t(*)[GA_ED25519_KEY_BYTES]) seeds, 1, -1, note,
	                             sizeof(note)),
	          0);
}

static void
check_reading(void)
{
	static const char text[] = BODY "\n" PLAIN TIMED;
	GaCheckpoint head;
	GaNoteKey other = key;
	int64_t seconds;

	CHECK(ga_checkpoint_parse(text, strlen(text), &head));
	CHECK(strcmp(head.origin, "log.example/1") == 0);
	CHECK_INT(head.size, 70000);
	CHECK(head.body == text && head.body_bytes == strlen(BODY));
	CHECK_INT(head.nsignatures, 2);
	CHECK_INT(ga_checkpoint_verify(&head, &key), GA_NOTE_GOOD);
	CHECK_INT(ga_checkpoint_time(&head, &key, &seconds), GA_NOTE_GOOD);
	CHECK_INT(seconds, 1700000000);
	CHECK(ga_note_public_key(seeds[1], other.key));
	CHECK_INT(ga_checkpoint_verify(&head, &other), GA_NOTE_UNSIGNED);
	CHECK_INT(ga_checkpoint_time(&head, &other, &seconds), GA_NOTE_UNSIGNED);
	other = key;
	strcpy(other.name, "log.example/2");
	CHECK_INT(ga_checkpoint_verify(&head, &other), GA_NOTE_UNSIGNED);
	CHECK(parses(BODY));
	CHECK(parses(BODY "\n"));
	CHECK(parses(
	    "an origin+of another kind\n0\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\nmore\n"));
	CHECK(!parses(BODY "\n" DASH "w\xc3\xa4rter eA==eA==eA==\n"));
	CHECK(parses(BODY "\n" DASH "w\xc3\xa4rter AAECAwQ=\n"));
}

static void
check_malformed(void)
{
	static const char *const bad[] = {
	    "",
	    "\n",
	    "\n\n\n",
	    "origin\n1\n",
	    "origin\n1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=",
	    "\n1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    "origin\n01\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    "origin\n-1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    "origin\n\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    "origin\n9223372036854775808\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    "origin\n1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I\n",
	    "origin\n1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7J=\n",
	    "origin\n1\nSBNJTRN-FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    "origin\n1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2\n",
	    "origin\r\n1\r\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\r\n",
	    "ori\xff\n1\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n",
	    BODY "\n\n" PLAIN,
	    BODY "\n" PLAIN "\n",
	    BODY "\nlog.example/1 AAECAwQ=\n",
	    BODY "\n" DASH "log.example/1\n",
	    BODY "\n" DASH " AAECAwQ=\n",
	    BODY "\n" DASH "log+example AAECAwQ=\n",
	    BODY "\n" DASH "log.example/1 AAECAw==\n",
	    BODY "\n" DASH "log.example/1 AAECAwQ\n",
	    BODY "\n" DASH "log.example/1 \n",
	    BODY "\n" DASH "log.example/1 AAEC AwQ=\n",
	    BODY "\n" DASH "log.example/1 AAECAwQ=",
	};
	char many[GA_NOTE_READ_MAX_BYTES + 2];
	size_t at;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
	{
		if (parses(bad[i]))
			printf("case %zu\n", i);
		CHECK(!parses(bad[i]));
	}
	strcpy(many, BODY "\n");
	for (int i = 0; i < GA_NOTE_SIGNATURES_MAX; i++)
		strcat(many, DASH "w AAECAwQ=\n");
	CHECK(parses(many));
	strcat(many, DASH "w AAECAwQ=\n");
	CHECK(!parses(many));

	/* a post-quantum signature is longer than any that we check, and only passed over */
	strcpy(many, BODY "\n" PLAIN DASH "pq ");
	at = strlen(many);
	memset(many + at, 'A', 6400);
	strcpy(many + at + 6400, "\n");
	CHECK(parses(many));
	memset(many, 'a', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	CHECK(!parses(many));
}

/* No single byte of a note can change and the note still verify. */
static void
check_every_byte(void)
{
	char text[] = BODY "\n" PLAIN TIMED;
	GaCheckpoint head;
	int64_t seconds;
	int accepted = 0;

	for (size_t i = 0; i < strlen(BODY "\n" PLAIN TIMED); i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			text[i] = (char) (text[i] ^ (1 << bit));
			if (ga_checkpoint_parse(text, sizeof(text) - 1, &head) &&
			    ga_checkpoint_verify(&head, &key) == GA_NOTE_GOOD &&
			    ga_checkpoint_time(&head, &key, &seconds) == GA_NOTE_GOOD)
				accepted++;
			text[i] = (char) (text[i] ^ (1 << bit));
		}
	}
	CHECK_INT(accepted, 0);
	for (size_t n = 0; n < sizeof(text) - 1; n++)
	{
		if (ga_checkpoint_parse(text, n, &head) &&
		    ga_checkpoint_verify(&head, &key) == GA_NOTE_GOOD &&
		    ga_checkpoint_time(&head, &key, &seconds) == GA_NOTE_GOOD)
			accepted++;
	}
	CHECK_INT(accepted, 0);
}

int
main(void)
{
	for (int i = 0; i < GA_ED25519_KEY_BYTES; i++)
		seeds[0][i] = (uint8_t) (i + 1);
	memset(seeds[1], 0x5a, GA_ED25519_KEY_BYTES);
	CHECK(ga_vkey_parse(VKEY, strlen(VKEY), &key));
	check_vkeys();
	check_signing();
	check_reading();
	check_malformed();
	check_every_byte();
	return unit_done();
}
