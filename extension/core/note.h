/* SPDX-License-Identifier: PostgreSQL */
/*
 * note.h: C2SP signed notes and checkpoints: the three lines of a tree head, signed with Ed25519
 * (signature type 0x01) and, by the same key under the same name, cosigned with the time (0x04,
 * tlog-cosignature), since the head itself has no place for one.
 *
 * A signature line is "U+2014 name base64(4-byte key id || signature)". A key id is the start of
 * SHA-256(name "\n" type key). A verifier key is "name+hex(key id)+base64(type || key)".
 */
#ifndef GA_NOTE_H
#define GA_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define GA_NOTE_ED25519 0x01
#define GA_NOTE_COSIGNATURE 0x04
#define GA_NOTE_NAME_MAX_BYTES 200
#define GA_NOTE_MAX_BYTES 8192              /* of what we write, and of any body */
#define GA_NOTE_READ_MAX_BYTES (128 * 1024) /* others may sign with keys of another kind */
#define GA_NOTE_SIGNATURES_MAX 16
#define GA_VKEY_MAX_BYTES 300
#define GA_ED25519_KEY_BYTES 32
#define GA_ED25519_SIGNATURE_BYTES 64

/* A public key that may sign notes under a name. */
typedef struct GaNoteKey
{
	char name[GA_NOTE_NAME_MAX_BYTES + 1];
	uint8_t key[GA_ED25519_KEY_BYTES];
} GaNoteKey;

typedef struct GaNoteSignature
{
	const char *name; /* in the note's text, not terminated */
	size_t name_bytes;
	uint8_t key_id[4];
	uint8_t bytes[8 + GA_ED25519_SIGNATURE_BYTES]; /* a cosignature has its time before it */
	size_t nbytes;                                 /* 0: longer than any that we know */
} GaNoteSignature;

/* A checkpoint taken apart; points into the text it was read from. */
typedef struct GaCheckpoint
{
	char origin[GA_NOTE_NAME_MAX_BYTES + 1];
	uint64_t size;
	uint8_t root[GA_HASH_BYTES];
	const char *body; /* what is signed: up to and with the newline before the empty line */
	size_t body_bytes;
	GaNoteSignature signatures[GA_NOTE_SIGNATURES_MAX];
	int nsignatures;
} GaCheckpoint;

typedef enum GaNoteVerdict
{
	GA_NOTE_GOOD,
	GA_NOTE_UNSIGNED, /* no signature by this key */
	GA_NOTE_BAD_SIGNATURE
} GaNoteVerdict;

/* Names: 1 to GA_NOTE_NAME_MAX_BYTES bytes of printable ASCII without space and plus. */
extern bool ga_note_name_ok(const char *name);
/* "name+id+base64", NUL-terminated. False: it does not fit. */
extern bool ga_vkey_format(const GaNoteKey *key, char *out, size_t capacity);
/* Of type GA_NOTE_ED25519 alone, in exactly the text that ga_vkey_format gives. */
extern bool ga_vkey_parse(const char *text, size_t bytes, GaNoteKey *key);
extern bool ga_note_public_key(const uint8_t seed[GA_ED25519_KEY_BYTES],
                               uint8_t key[GA_ED25519_KEY_BYTES]);

/* The three lines. The length, or 0. */
extern size_t ga_checkpoint_body(const char *origin, uint64_t size,
                                 const uint8_t root[GA_HASH_BYTES], char *out, size_t capacity);
/*
 * body, an empty line, and for each of the n key pairs a signature line and a cosignature of this
 * time. The private key is the 32-byte seed. The length, or 0; no key: body and empty line. Here
 * and above, out ends in a NUL.
 */
extern size_t ga_checkpoint_sign(const char *body, size_t body_bytes, const char *name,
                                 const uint8_t (*seeds)[GA_ED25519_KEY_BYTES], int n,
                                 int64_t unix_seconds, char *out, size_t capacity);

/*
 * False: it is no checkpoint. A body alone (no empty line, no signature) is one, unsigned. Lines
 * that follow the root are part of the body. The key's name is not compared with the origin.
 */
extern bool ga_checkpoint_parse(const char *text, size_t bytes, GaCheckpoint *head);
/* One bad signature by the key makes the note bad, whatever others by it say. */
extern GaNoteVerdict ga_checkpoint_verify(const GaCheckpoint *head, const GaNoteKey *key);
/* As that, for the cosignature; its time, of several the latest. */
extern GaNoteVerdict ga_checkpoint_time(const GaCheckpoint *head, const GaNoteKey *key,
                                        int64_t *unix_seconds);

#endif /* GA_NOTE_H */
