/* SPDX-License-Identifier: PostgreSQL */
/*
 * Parts of the sealer: growing the tree (seal_leaves.c), signing its heads (seal_head.c), and the
 * files outside of the database (seal_key.c).
 */
#ifndef SEAL_H
#define SEAL_H

#include "goldenarch/compat.h"

#include "goldenarch/seal.h"
#include "note.h"

#define SEAL_KEYS_MAX (GA_NOTE_SIGNATURES_MAX / 2)
#define SEAL_REASON_MAX 512

/* The keys of the key file, that which signs first in front. Wipe it before anything can fail. */
typedef struct SealKeys
{
	uint8 seeds[SEAL_KEYS_MAX][GA_ED25519_KEY_BYTES];
	uint8 public_keys[SEAL_KEYS_MAX][GA_ED25519_KEY_BYTES];
	int n;
} SealKeys;

/*
 * Read the key file; make_one: if there is none, make it first. False: why says what is wrong.
 * An empty setting gives no key and no error.
 */
extern bool seal_keys_read(SealKeys *keys, bool make_one, char why[SEAL_REASON_MAX]);
extern void seal_keys_wipe(SealKeys *keys);

/* The last head that was signed here with this key, palloc'd in *note; null: no such file. */
extern bool seal_head_read(char **note, char why[SEAL_REASON_MAX]);
/*
 * The databases of a server share its key, and the owner of one is no superuser: no tree is signed
 * whose origin is that of another database's last head.
 */
extern bool seal_origin_is_ours(const char *origin, char why[SEAL_REASON_MAX]);
/* In place of the last one, on disk when it returns. */
extern bool seal_head_write(const char *note, size_t bytes, char why[SEAL_REASON_MAX]);

/*
 * Each is the body of a transaction, under the sealing lock. prepare: the tree that is to grow is
 * there, and so are its keys. grow: what committed since the last time becomes leaves. sign: a head
 * if one is due.
 */
typedef struct SealPass
{
	bool forced; /* audit_seal(): open, sign and check now */
	char stopped[SEAL_REASON_MAX];
	int64 grown; /* leaves */
} SealPass;

extern void seal_prepare(SealPass *pass);
extern void seal_grow(SealPass *pass);
extern void seal_sign(SealPass *pass);

#endif /* SEAL_H */
