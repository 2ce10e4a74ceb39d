/* SPDX-License-Identifier: PostgreSQL */
/* entry.c: the frozen bytes of an audit entry, and that nothing else is read as one. */
#include "entry.h"

#include "unit.h"

static uint8_t buffer[GA_ENTRY_MAX_BYTES];

static size_t
sample(void)
{
	static const uint8_t commitment[GA_HASH_BYTES] = {1, 2, 3};
	GaEntry entry;

	ga_entry_begin(&entry, buffer, sizeof(buffer));
	ga_entry_int(&entry, GA_ENTRY_ID, 258);
	ga_entry_time(&entry, GA_ENTRY_AT, -1);
	ga_entry_text(&entry, GA_ENTRY_TENANT, "");
	ga_entry_text(&entry, GA_ENTRY_SUBJECT, "alice");
	ga_entry_text(&entry, GA_ENTRY_ROLE, NULL);
	ga_entry_bytes(&entry, GA_ENTRY_DETAILS, commitment, sizeof(commitment));
	return ga_entry_finish(&entry);
}

/* if this fails, the format has changed and every stored proof with it: undo the change */
static void
test_frozen(void)
{
	static const char wanted[] = "676f6c64656e617263682e61756469742f310a"
	                             "026900000008"
	                             "0000000000000102"
	                             "056d00000008"
	                             "ffffffffffffffff"
	                             "087400000000"
	                             "097400000005"
	                             "616c696365"
	                             "156200000020"
	                             "0102030000000000000000000000000000000000000000000000000000000000";
	uint8_t bytes[256];
	size_t length = unit_hex(wanted, bytes);

	CHECK_INT(sample(), length);
	CHECK(memcmp(buffer, bytes, length) == 0);
}

static void
test_read(void)
{
	size_t bytes = sample();
	size_t offset = 0;
	GaEntryValue value;

	CHECK(ga_entry_valid(buffer, bytes));
	CHECK_INT(ga_entry_next(buffer, bytes, &offset, &value), 1);
	CHECK(value.field == GA_ENTRY_ID && value.number == 258);
	CHECK_INT(ga_entry_next(buffer, bytes, &offset, &value), 1);
	CHECK(value.field == GA_ENTRY_AT && value.type == 'm' && value.number == -1);
	CHECK_INT(ga_entry_next(buffer, bytes, &offset, &value), 1);
	CHECK(value.field == GA_ENTRY_TENANT && value.bytes == 0);
	CHECK_INT(ga_entry_next(buffer, bytes, &offset, &value), 1);
	CHECK(value.bytes == 5 && memcmp(value.data, "alice", 5) == 0);
	CHECK_INT(ga_entry_next(buffer, bytes, &offset, &value), 1);
	CHECK_INT(ga_entry_next(buffer, bytes, &offset, &value), 0);
}

static void
test_refusals(void)
{
	size_t bytes = sample();
	GaEntry entry;
	uint8_t small[30];
	int accepted = 0;

	/* every truncation at a place that is not a field's end, and a wrong tag */
	for (size_t n = 0; n < bytes; n++)
		accepted += ga_entry_valid(buffer, n);
	CHECK_INT(accepted, 5); /* the tag alone, and after each field but the last */
	buffer[0] ^= 1;
	CHECK(!ga_entry_valid(buffer, bytes));
	sample();
	buffer[19] = GA_ENTRY_DETAILS; /* a number whose type is another */
	CHECK(!ga_entry_valid(buffer, bytes));
	sample();
	buffer[19] = 99;
	CHECK(!ga_entry_valid(buffer, bytes));
	sample();
	buffer[21] = 0xff; /* a length beyond the end */
	CHECK(!ga_entry_valid(buffer, bytes));

	ga_entry_begin(&entry, buffer, sizeof(buffer));
	ga_entry_text(&entry, GA_ENTRY_SUBJECT, "a");
	ga_entry_text(&entry, GA_ENTRY_TENANT, "b"); /* out of order */
	CHECK_INT(ga_entry_finish(&entry), 0);
	ga_entry_begin(&entry, buffer, sizeof(buffer));
	ga_entry_text(&entry, GA_ENTRY_ID, "a"); /* wrong type */
	CHECK_INT(ga_entry_finish(&entry), 0);
	ga_entry_begin(&entry, small, sizeof(small));
	ga_entry_text(&entry, GA_ENTRY_SUBJECT, "too long for it");
	CHECK_INT(ga_entry_finish(&entry), 0);
	ga_entry_begin(&entry, small, 3);
	CHECK_INT(ga_entry_finish(&entry), 0);
}

static void
test_noise(void)
{
	uint64_t random = 5;
	size_t bytes = sample();

	for (int i = 0; i < 20000; i++)
	{
		sample();
		for (int flips = 0; flips < 3; flips++)
			buffer[unit_random(&random) % bytes] = (uint8_t) unit_random(&random);
		(void) ga_entry_valid(buffer, bytes); /* the sanitizers judge */
	}
	CHECK(true);
}

static void
test_commitment(void)
{
	static const uint8_t salt[GA_SALT_BYTES] = {0};
	uint8_t out[GA_HASH_BYTES];
	uint8_t wanted[GA_HASH_BYTES];

	CHECK(ga_commitment(salt, "{}", 2, out));
	unit_hex("8b9361d6cc916a0dae3b30ddabfd83a0207cc5790fd45a21c802176593383b2c", wanted);
	CHECK(memcmp(out, wanted, sizeof(out)) == 0);
}

int
main(void)
{
	test_frozen();
	test_read();
	test_refusals();
	test_noise();
	test_commitment();
	return unit_done();
}
