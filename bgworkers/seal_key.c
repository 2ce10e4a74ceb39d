/* SPDX-License-Identifier: PostgreSQL */
/*
 * The files outside of the database: the key file (PEM, Ed25519, several for a rotation) and beside
 * it, as KEYFILE.DATABASE.head, the last head that was signed here. A database that is older than
 * that head was restored from a backup, and must not sign again what was signed already. So both
 * are to lie outside of what a backup of the data directory holds.
 *
 * Only the sealer opens them. Files that others may read or write, that are no regular files or
 * belong to somebody else are refused. A new file is whole and on disk before it has its name.
 */
#include "seal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "miscadmin.h"
#include "storage/fd.h"

#include "goldenarch/guc.h"

#define KEY_FILE_MAX_BYTES (64 * 1024)

static bool
fail(char why[SEAL_REASON_MAX], const char *what, const char *path)
{
	snprintf(why, SEAL_REASON_MAX, "%s \"%s\": %s", what, path, strerror(errno));
	return false;
}

static bool
refuse(char why[SEAL_REASON_MAX], const char *path, const char *because)
{
	snprintf(why, SEAL_REASON_MAX, "\"%s\" %s", path, because);
	return false;
}

/* A path below the data directory is relative to it, which is where a server process is. */
static bool
head_path(char path[MAXPGPATH])
{
	return snprintf(path, MAXPGPATH, "%s.%u.head", ga_guc_audit_key_file, MyDatabaseId) < MAXPGPATH;
}

/* The length, -1: why; with errno 0 and an empty why: there is no such file. */
static int
read_private(const char *path, char *out, int capacity, char why[SEAL_REASON_MAX])
{
	struct stat st;
	int have = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	why[0] = '\0';
	if (fd < 0 && errno == ENOENT)
		return -1;
	if (fd < 0)
		(void) fail(why, "could not open", path);
	else if (fstat(fd, &st) != 0)
		(void) fail(why, "could not look at", path);
	else if (!S_ISREG(st.st_mode))
		(void) refuse(why, path, "is not a regular file");
	else if (st.st_uid != geteuid())
		(void) refuse(why, path, "does not belong to the server's user");
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		(void) refuse(why, path, "may be used by others; it needs mode 0600");
	else if (st.st_size > capacity)
		(void) refuse(why, path, "is too long");
	while (!why[0] && (n = read(fd, out + have, (size_t) (capacity - have))) != 0)
	{
		if (n < 0)
			(void) fail(why, "could not read", path);
		else
			have += (int) n;
	}
	if (fd >= 0)
		close(fd);
	return why[0] ? -1 : have;
}

static bool
sync_folder_of(const char *path, char why[SEAL_REASON_MAX])
{
	char folder[MAXPGPATH];
	int fd;
	bool ok;

	strlcpy(folder, path, sizeof(folder));
	get_parent_directory(folder);
	fd = open(folder[0] ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = fd >= 0 && pg_fsync(fd) == 0;
	if (!ok)
		(void) fail(why, "could not sync the folder of", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* path.new, whole and on disk. What a crash left of an earlier one goes first. */
static bool
write_beside(const char *path, char beside[MAXPGPATH], const void *data, size_t bytes,
             char why[SEAL_REASON_MAX])
{
	int fd;
	bool ok;

	if (snprintf(beside, MAXPGPATH, "%s.new%d", path, MyProcPid) >= MAXPGPATH)
		return refuse(why, path, "is too long a name");
	(void) unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return fail(why, "could not create", beside);
	errno = ENOSPC;
	ok = write(fd, data, bytes) == (ssize_t) bytes && pg_fsync(fd) == 0;
	if (!ok)
	{
		(void) fail(why, "could not write", beside);
		(void) unlink(beside);
	}
	close(fd);
	return ok;
}

/* PEM of a fresh key; the length, 0: libcrypto failed. */
static size_t
new_key(char *out, size_t capacity)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *bio = BIO_new(BIO_s_secmem());
	char *data;
	long bytes = 0;

	if (key && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		bytes = BIO_get_mem_data(bio, &data);
	if (bytes <= 0 || (size_t) bytes > capacity)
		bytes = 0;
	else
		memcpy(out, data, (size_t) bytes);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return (size_t) bytes;
}

static bool
make_key_file(const char *path, char why[SEAL_REASON_MAX])
{
	char beside[MAXPGPATH];
	char pem[1024];
	size_t bytes = new_key(pem, sizeof(pem));
	bool ok = bytes > 0 ? write_beside(path, beside, pem, bytes, why)
	                    : refuse(why, path, "could not be given a key: libcrypto has no Ed25519");

	OPENSSL_cleanse(pem, sizeof(pem));
	if (!ok)
		return false;
	/* A link fails where a rename would take another's key away. */
	if (link(beside, path) != 0 && errno != EEXIST)
		ok = fail(why, "could not create", path);
	(void) unlink(beside);
	if (ok && sync_folder_of(path, why))
		ereport(LOG, (errmsg("made the key of the audit tree in \"%s\"", path)));
	return ok && why[0] == '\0';
}

/* One block of PEM into the next place of keys. */
static bool
take_key(SealKeys *keys, const char *name, const unsigned char *data, long bytes, const char *path,
         char why[SEAL_REASON_MAX])
{
	size_t seed_bytes = GA_ED25519_KEY_BYTES;
	size_t public_bytes = GA_ED25519_KEY_BYTES;
	EVP_PKEY *key;
	bool ok;

	if (strcmp(name, PEM_STRING_PKCS8INF) != 0)
		return refuse(why, path, "holds something else than unencrypted PKCS #8 private keys");
	if (keys->n == SEAL_KEYS_MAX)
		return refuse(why, path, "holds more than eight keys");
	key = d2i_AutoPrivateKey(NULL, &data, bytes);
	ok = key && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 &&
	     EVP_PKEY_get_raw_private_key(key, keys->seeds[keys->n], &seed_bytes) == 1 &&
	     EVP_PKEY_get_raw_public_key(key, keys->public_keys[keys->n], &public_bytes) == 1;
	EVP_PKEY_free(key);
	if (!ok)
		return refuse(why, path, "holds a key that is not of Ed25519");
	keys->n++;
	return true;
}

static bool
take_keys(SealKeys *keys, const char *pem, int bytes, const char *path, char why[SEAL_REASON_MAX])
{
	BIO *bio = BIO_new_mem_buf(pem, bytes);
	bool ok = bio != NULL;
	char *name;
	char *header;
	unsigned char *data;
	long nbytes;

	ERR_clear_error();
	while (ok && PEM_read_bio(bio, &name, &header, &data, &nbytes) == 1)
	{
		ok = take_key(keys, name, data, nbytes, path, why);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t) nbytes);
	}
	/* At the end no further block begins; anything else is a block that cannot be read. */
	if (ok && (keys->n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		ok = refuse(why, path, "is not made of whole PEM blocks");
	BIO_free(bio);
	ERR_clear_error();
	return ok;
}

bool
seal_keys_read(SealKeys *keys, bool make_one, char why[SEAL_REASON_MAX])
{
	const char *path = ga_guc_audit_key_file;
	static char pem[KEY_FILE_MAX_BYTES];
	int bytes;
	bool ok;

	keys->n = 0;
	why[0] = '\0';
	if (path[0] == '\0')
		return true;
	bytes = read_private(path, pem, sizeof(pem), why);
	if (bytes < 0 && why[0] == '\0' && make_one)
	{
		if (!make_key_file(path, why))
			return false;
		bytes = read_private(path, pem, sizeof(pem), why);
	}
	if (bytes < 0 && why[0] == '\0')
		return refuse(why, path, "is missing; put back the key that signed so far");
	ok = bytes >= 0 && take_keys(keys, pem, bytes, path, why);
	OPENSSL_cleanse(pem, sizeof(pem));
	if (!ok)
		seal_keys_wipe(keys);
	return ok;
}

void
seal_keys_wipe(SealKeys *keys)
{
	OPENSSL_cleanse(keys->seeds, sizeof(keys->seeds));
}

bool
seal_head_read(char **note, char why[SEAL_REASON_MAX])
{
	char path[MAXPGPATH];
	char text[GA_NOTE_MAX_BYTES + 1];
	int bytes;

	*note = NULL;
	if (!head_path(path))
		return refuse(why, ga_guc_audit_key_file, "is too long a name");
	bytes = read_private(path, text, GA_NOTE_MAX_BYTES, why);
	if (bytes < 0)
		return why[0] == '\0';
	*note = pnstrdup(text, (Size) bytes);
	return true;
}

/* The database that a file of this name in the key's folder is the last head of; 0: of none. */
static Oid
database_of(const char *name, const char *key_name)
{
	size_t len = strlen(key_name);
	char expected[MAXPGPATH];
	unsigned oid;

	if (strncmp(name, key_name, len) != 0 || sscanf(name + len, ".%u.head", &oid) != 1)
		return InvalidOid;
	snprintf(expected, sizeof(expected), "%s.%u.head", key_name, oid);
	return strcmp(name, expected) == 0 ? (Oid) oid : InvalidOid;
}

bool
seal_origin_is_ours(const char *origin, char why[SEAL_REASON_MAX])
{
	const char *slash = strrchr(ga_guc_audit_key_file, '/');
	const char *key_name = slash ? slash + 1 : ga_guc_audit_key_file;
	char *folder = slash ? pnstrdup(ga_guc_audit_key_file, slash - ga_guc_audit_key_file + 1) : ".";
	size_t len = strlen(origin);
	char text[GA_NOTE_MAX_BYTES];
	char path[MAXPGPATH];
	struct dirent *entry;
	Oid found = InvalidOid;
	Oid database;
	DIR *dir = opendir(folder);

	why[0] = '\0';
	if (!dir)
		return fail(why, "could not read folder", folder);
	while (!OidIsValid(found) && (entry = readdir(dir)) != NULL)
	{
		database = database_of(entry->d_name, key_name);
		if (!OidIsValid(database) || database == MyDatabaseId ||
		    snprintf(path, sizeof(path), "%s.%u.head", ga_guc_audit_key_file, database) >=
		        (int) sizeof(path))
			continue;
		if (read_private(path, text, sizeof(text), why) > (int) len && text[len] == '\n' &&
		    memcmp(text, origin, len) == 0)
			found = database;
		why[0] = '\0'; /* what cannot be read is that database's affair */
	}
	closedir(dir);
	if (OidIsValid(found))
		snprintf(why, SEAL_REASON_MAX, "\"%s\" is signed by the database with oid %u", origin,
		         found);
	return !OidIsValid(found);
}

bool
seal_head_write(const char *note, size_t bytes, char why[SEAL_REASON_MAX])
{
	char path[MAXPGPATH];
	char beside[MAXPGPATH];

	why[0] = '\0';
	if (!head_path(path))
		return refuse(why, ga_guc_audit_key_file, "is too long a name");
	if (!write_beside(path, beside, note, bytes, why))
		return false;
	if (rename(beside, path) != 0)
	{
		(void) fail(why, "could not rename to", path);
		(void) unlink(beside);
		return false;
	}
	return sync_folder_of(path, why);
}
