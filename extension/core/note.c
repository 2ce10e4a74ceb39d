/* SPDX-License-Identifier: PostgreSQL */
/*
 * note.c: see note.h. Base64 is read strictly: one text for one value, so that a note cannot be
 * altered and still verify.
 */
#include "note.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "b64url.h"
#include "digest.h"
#include "utf8.h"

#define DASH "\xe2\x80\x94 " /* U+2014 and a space */
#define DASH_BYTES (sizeof(DASH) - 1)
#define KEY_ID_BYTES 4
#define TIME_BYTES 8
#define BASE64_MAX(n) (((n) + 2) / 3 * 4)
#define SIGNATURE_TEXT_MAX BASE64_MAX(KEY_ID_BYTES + TIME_BYTES + GA_ED25519_SIGNATURE_BYTES)
#define COSIGNED_HEAD_MAX 64

/* What is read line by line. */
typedef struct Lines
{
	const char *at;
	const char *end;
} Lines;

/* Text that is written piece by piece; failed once a piece has not fit. */
typedef struct Writer
{
	char *at;
	size_t left;
	bool failed;
} Writer;

bool
ga_note_name_ok(const char *name)
{
	size_t bytes = strnlen(name, GA_NOTE_NAME_MAX_BYTES + 1);

	for (size_t i = 0; i < bytes; i++)
	{
		if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == '+')
			return false;
	}
	return bytes > 0 && bytes <= GA_NOTE_NAME_MAX_BYTES;
}

/* Standard base64 with padding, of at most SIGNATURE_TEXT_MAX characters. The bytes, or -1. */
static int
base64_read(const char *text, size_t bytes, uint8_t *out, size_t capacity)
{
	char url[SIGNATURE_TEXT_MAX];

	if (bytes == 0 || bytes % 4 != 0 || bytes > sizeof(url))
		return -1;
	for (int pads = 0; pads < 2 && text[bytes - 1] == '='; pads++)
		bytes--;
	for (size_t i = 0; i < bytes; i++)
	{
		if (text[i] == '-' || text[i] == '_')
			return -1;
		url[i] = (char) (text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
	}
	return (int) ga_b64url_decode(url, bytes, out, capacity);
}

static void
put(Writer *to, const char *text, size_t bytes)
{
	to->failed = to->failed || bytes >= to->left;
	if (to->failed)
		return;
	memcpy(to->at, text, bytes);
	to->at += bytes;
	to->left -= bytes;
	*to->at = '\0';
}

static void
put_base64(Writer *to, const uint8_t *data, size_t bytes)
{
	char text[SIGNATURE_TEXT_MAX + 1];

	put(to, text, (size_t) EVP_EncodeBlock((unsigned char *) text, data, (int) bytes));
}

static bool
key_id(const char *name, uint8_t type, const uint8_t key[GA_ED25519_KEY_BYTES],
       uint8_t id[KEY_ID_BYTES])
{
	const GaBytes pieces[] = {
	    {name, strlen(name)}, {"\n", 1}, {&type, 1}, {key, GA_ED25519_KEY_BYTES}};
	uint8_t hash[GA_HASH_BYTES];

	if (!ga_sha256(pieces, 4, hash))
		return false;
	memcpy(id, hash, KEY_ID_BYTES);
	return true;
}

bool
ga_vkey_format(const GaNoteKey *key, char *out, size_t capacity)
{
	Writer to = {out, capacity, false};
	uint8_t typed[1 + GA_ED25519_KEY_BYTES] = {GA_NOTE_ED25519};
	uint8_t id[KEY_ID_BYTES];
	char hex[2 * KEY_ID_BYTES + 3];

	if (!ga_note_name_ok(key->name) || !key_id(key->name, GA_NOTE_ED25519, key->key, id))
		return false;
	memcpy(typed + 1, key->key, GA_ED25519_KEY_BYTES);
	snprintf(hex, sizeof(hex), "+%02x%02x%02x%02x+", id[0], id[1], id[2], id[3]);
	put(&to, key->name, strlen(key->name));
	put(&to, hex, strlen(hex));
	put_base64(&to, typed, sizeof(typed));
	return !to.failed;
}

bool
ga_vkey_parse(const char *text, size_t bytes, GaNoteKey *key)
{
	const char *plus = memchr(text, '+', bytes);
	size_t name_bytes = plus != NULL ? (size_t) (plus - text) : 0;
	size_t at = name_bytes + 2 * KEY_ID_BYTES + 2;
	uint8_t typed[1 + GA_ED25519_KEY_BYTES];
	char wanted[GA_VKEY_MAX_BYTES];

	memset(key, 0, sizeof(*key));
	if (name_bytes == 0 || name_bytes > GA_NOTE_NAME_MAX_BYTES || at >= bytes ||
	    base64_read(text + at, bytes - at, typed, sizeof(typed)) != (int) sizeof(typed) ||
	    typed[0] != GA_NOTE_ED25519)
		return false;
	memcpy(key->name, text, name_bytes);
	memcpy(key->key, typed + 1, GA_ED25519_KEY_BYTES);
	/* a key has one text: this compares the id, its case and the separators at once */
	return ga_vkey_format(key, wanted, sizeof(wanted)) && strlen(wanted) == bytes &&
	       memcmp(wanted, text, bytes) == 0;
}

bool
ga_note_public_key(const uint8_t seed[GA_ED25519_KEY_BYTES], uint8_t key[GA_ED25519_KEY_BYTES])
{
	EVP_PKEY *pair =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, GA_ED25519_KEY_BYTES);
	size_t bytes = GA_ED25519_KEY_BYTES;
	bool ok = pair != NULL && EVP_PKEY_get_raw_public_key(pair, key, &bytes) == 1;

	EVP_PKEY_free(pair);
	return ok && bytes == GA_ED25519_KEY_BYTES;
}

static bool
ed25519_sign(const uint8_t seed[GA_ED25519_KEY_BYTES], const char *text, size_t bytes,
             uint8_t signature[GA_ED25519_SIGNATURE_BYTES])
{
	EVP_PKEY *pair =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, GA_ED25519_KEY_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t written = GA_ED25519_SIGNATURE_BYTES;
	bool ok =
	    pair != NULL && context != NULL &&
	    EVP_DigestSignInit(context, NULL, NULL, NULL, pair) == 1 &&
	    EVP_DigestSign(context, signature, &written, (const unsigned char *) text, bytes) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pair);
	return ok && written == GA_ED25519_SIGNATURE_BYTES;
}

static bool
ed25519_verify(const uint8_t key[GA_ED25519_KEY_BYTES], const char *text, size_t bytes,
               const uint8_t signature[GA_ED25519_SIGNATURE_BYTES])
{
	EVP_PKEY *public_key =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, GA_ED25519_KEY_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = public_key != NULL && context != NULL &&
	          EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key) == 1 &&
	          EVP_DigestVerify(context, signature, GA_ED25519_SIGNATURE_BYTES,
	                           (const unsigned char *) text, bytes) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(public_key);
	return ok;
}

size_t
ga_checkpoint_body(const char *origin, uint64_t size, const uint8_t root[GA_HASH_BYTES], char *out,
                   size_t capacity)
{
	Writer to = {out, capacity, false};
	char number[24];

	if (!ga_note_name_ok(origin) || size > INT64_MAX)
		return 0;
	snprintf(number, sizeof(number), "\n%llu\n", (unsigned long long) size);
	put(&to, origin, strlen(origin));
	put(&to, number, strlen(number));
	put_base64(&to, root, GA_HASH_BYTES);
	put(&to, "\n", 1);
	return to.failed ? 0 : (size_t) (to.at - out);
}

/* What a cosignature signs: two lines and the body. The length, or 0. */
static size_t
cosigned_text(const char *body, size_t body_bytes, int64_t unix_seconds,
              char out[COSIGNED_HEAD_MAX + GA_NOTE_MAX_BYTES])
{
	int head;

	if (body_bytes > GA_NOTE_MAX_BYTES || unix_seconds < 0)
		return 0;
	head =
	    snprintf(out, COSIGNED_HEAD_MAX, "cosignature/v1\ntime %lld\n", (long long) unix_seconds);
	memcpy(out + head, body, body_bytes);
	return (size_t) head + body_bytes;
}

static void
put_signature(Writer *to, const char *name, const uint8_t *data, size_t bytes)
{
	put(to, DASH, DASH_BYTES);
	put(to, name, strlen(name));
	put(to, " ", 1);
	put_base64(to, data, bytes);
	put(to, "\n", 1);
}

static void
put_signatures(Writer *to, const char *body, size_t body_bytes, const char *name,
               const uint8_t seed[GA_ED25519_KEY_BYTES], int64_t unix_seconds)
{
	char cosigned[COSIGNED_HEAD_MAX + GA_NOTE_MAX_BYTES];
	size_t cosigned_bytes = cosigned_text(body, body_bytes, unix_seconds, cosigned);
	uint8_t plain[KEY_ID_BYTES + GA_ED25519_SIGNATURE_BYTES];
	uint8_t timed[KEY_ID_BYTES + TIME_BYTES + GA_ED25519_SIGNATURE_BYTES];
	uint8_t key[GA_ED25519_KEY_BYTES];

	for (int i = 0; i < TIME_BYTES; i++)
		timed[KEY_ID_BYTES + i] = (uint8_t) ((uint64_t) unix_seconds >> (8 * (TIME_BYTES - 1 - i)));
	if (cosigned_bytes == 0 || !ga_note_public_key(seed, key) ||
	    !key_id(name, GA_NOTE_ED25519, key, plain) ||
	    !key_id(name, GA_NOTE_COSIGNATURE, key, timed) ||
	    !ed25519_sign(seed, body, body_bytes, plain + KEY_ID_BYTES) ||
	    !ed25519_sign(seed, cosigned, cosigned_bytes, timed + KEY_ID_BYTES + TIME_BYTES))
	{
		to->failed = true;
		return;
	}
	put_signature(to, name, plain, sizeof(plain));
	put_signature(to, name, timed, sizeof(timed));
}

size_t
ga_checkpoint_sign(const char *body, size_t body_bytes, const char *name,
                   const uint8_t (*seeds)[GA_ED25519_KEY_BYTES], int n, int64_t unix_seconds,
                   char *out, size_t capacity)
{
	Writer to = {out, capacity, false};

	if (n < 0 || 2 * n > GA_NOTE_SIGNATURES_MAX || (n > 0 && !ga_note_name_ok(name)))
		return 0;
	put(&to, body, body_bytes);
	put(&to, "\n", 1);
	for (int i = 0; i < n && !to.failed; i++)
		put_signatures(&to, body, body_bytes, name, seeds[i], unix_seconds);
	return to.failed ? 0 : (size_t) (to.at - out);
}

/* The next line without its newline; false when there is none that ends in one. */
static bool
next_line(Lines *lines, const char **line, size_t *bytes)
{
	size_t left = (size_t) (lines->end - lines->at);
	const char *newline = left > 0 ? memchr(lines->at, '\n', left) : NULL;

	if (newline == NULL)
		return false;
	*line = lines->at;
	*bytes = (size_t) (newline - lines->at);
	lines->at = newline + 1;
	return true;
}

/* UTF-8 without a control character but newline. */
static bool
text_ok(const char *text, size_t bytes)
{
	size_t at = 0;

	while (at < bytes)
	{
		uint32_t code = 0;
		int length = ga_utf8_decode(text + at, bytes - at, &code);

		if (length == 0 || (code < ' ' && code != '\n'))
			return false;
		at += (size_t) length;
	}
	return true;
}

static bool
read_size(const char *text, size_t bytes, uint64_t *size)
{
	*size = 0;
	if (bytes == 0 || bytes > 19 || (bytes > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < bytes; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		*size = *size * 10 + (uint64_t) (text[i] - '0');
	}
	return *size <= INT64_MAX;
}

static bool
read_body(Lines lines, GaCheckpoint *head)
{
	const char *line;
	size_t bytes;

	if (!next_line(&lines, &line, &bytes) || bytes == 0 || bytes > GA_NOTE_NAME_MAX_BYTES)
		return false;
	memcpy(head->origin, line, bytes);
	if (!next_line(&lines, &line, &bytes) || !read_size(line, bytes, &head->size) ||
	    !next_line(&lines, &line, &bytes) ||
	    base64_read(line, bytes, head->root, GA_HASH_BYTES) != GA_HASH_BYTES)
		return false;
	while (next_line(&lines, &line, &bytes))
	{
		if (bytes == 0)
			return false;
	}
	return lines.at == lines.end;
}

static bool
read_signature(const char *line, size_t bytes, GaNoteSignature *signature)
{
	uint8_t data[KEY_ID_BYTES + TIME_BYTES + GA_ED25519_SIGNATURE_BYTES];
	const char *space;
	size_t text_bytes;
	int got;

	memset(signature, 0, sizeof(*signature));
	if (bytes <= DASH_BYTES || memcmp(line, DASH, DASH_BYTES) != 0)
		return false;
	line += DASH_BYTES;
	bytes -= DASH_BYTES;
	space = memchr(line, ' ', bytes);
	if (space == NULL || space == line || memchr(line, '+', (size_t) (space - line)) != NULL)
		return false;
	signature->name = line;
	signature->name_bytes = (size_t) (space - line);
	text_bytes = bytes - signature->name_bytes - 1;
	if (text_bytes > SIGNATURE_TEXT_MAX)
	{
		/* of another kind, whose key id alone is of use; 8 characters are 6 bytes */
		if (text_bytes % 4 != 0 || base64_read(space + 1, 8, data, sizeof(data)) != 6)
			return false;
		memcpy(signature->key_id, data, KEY_ID_BYTES);
		return true;
	}
	got = base64_read(space + 1, text_bytes, data, sizeof(data));
	if (got <= KEY_ID_BYTES)
		return false;
	memcpy(signature->key_id, data, KEY_ID_BYTES);
	signature->nbytes = (size_t) got - KEY_ID_BYTES;
	memcpy(signature->bytes, data + KEY_ID_BYTES, signature->nbytes);
	return true;
}

bool
ga_checkpoint_parse(const char *text, size_t bytes, GaCheckpoint *head)
{
	Lines lines = {text, text + bytes};
	const char *line;
	size_t length;

	memset(head, 0, sizeof(*head));
	if (bytes > GA_NOTE_READ_MAX_BYTES || !text_ok(text, bytes))
		return false;
	/* no line of the body is empty, so the first empty line is the last */
	while (lines.at < lines.end && *lines.at != '\n')
	{
		if (!next_line(&lines, &line, &length))
			return false;
	}
	head->body = text;
	head->body_bytes = (size_t) (lines.at - text);
	if (head->body_bytes > GA_NOTE_MAX_BYTES || !read_body((Lines){text, lines.at}, head))
		return false;
	if (lines.at == lines.end)
		return true;
	lines.at++;
	while (next_line(&lines, &line, &length))
	{
		if (head->nsignatures == GA_NOTE_SIGNATURES_MAX ||
		    !read_signature(line, length, &head->signatures[head->nsignatures++]))
			return false;
	}
	return lines.at == lines.end;
}

static bool
is_by(const GaNoteSignature *signature, const GaNoteKey *key, const uint8_t id[KEY_ID_BYTES])
{
	return signature->name_bytes == strlen(key->name) &&
	       memcmp(signature->name, key->name, signature->name_bytes) == 0 &&
	       memcmp(signature->key_id, id, KEY_ID_BYTES) == 0;
}

GaNoteVerdict
ga_checkpoint_verify(const GaCheckpoint *head, const GaNoteKey *key)
{
	GaNoteVerdict verdict = GA_NOTE_UNSIGNED;
	uint8_t id[KEY_ID_BYTES];

	if (!key_id(key->name, GA_NOTE_ED25519, key->key, id))
		return GA_NOTE_BAD_SIGNATURE;
	for (int i = 0; i < head->nsignatures; i++)
	{
		const GaNoteSignature *signature = &head->signatures[i];

		if (!is_by(signature, key, id))
			continue;
		if (signature->nbytes != GA_ED25519_SIGNATURE_BYTES ||
		    !ed25519_verify(key->key, head->body, head->body_bytes, signature->bytes))
			return GA_NOTE_BAD_SIGNATURE;
		verdict = GA_NOTE_GOOD;
	}
	return verdict;
}

GaNoteVerdict
ga_checkpoint_time(const GaCheckpoint *head, const GaNoteKey *key, int64_t *unix_seconds)
{
	char cosigned[COSIGNED_HEAD_MAX + GA_NOTE_MAX_BYTES];
	GaNoteVerdict verdict = GA_NOTE_UNSIGNED;
	uint8_t id[KEY_ID_BYTES];

	*unix_seconds = 0;
	if (!key_id(key->name, GA_NOTE_COSIGNATURE, key->key, id))
		return GA_NOTE_BAD_SIGNATURE;
	for (int i = 0; i < head->nsignatures; i++)
	{
		const GaNoteSignature *signature = &head->signatures[i];
		uint64_t seconds = 0;
		size_t bytes;

		if (!is_by(signature, key, id))
			continue;
		for (int j = 0; j < TIME_BYTES; j++)
			seconds = seconds << 8 | signature->bytes[j];
		if (signature->nbytes != TIME_BYTES + GA_ED25519_SIGNATURE_BYTES || seconds > INT64_MAX)
			return GA_NOTE_BAD_SIGNATURE;
		bytes = cosigned_text(head->body, head->body_bytes, (int64_t) seconds, cosigned);
		if (bytes == 0 || !ed25519_verify(key->key, cosigned, bytes, signature->bytes + TIME_BYTES))
			return GA_NOTE_BAD_SIGNATURE;
		if ((int64_t) seconds > *unix_seconds)
			*unix_seconds = (int64_t) seconds;
		verdict = GA_NOTE_GOOD;
	}
	return verdict;
}
