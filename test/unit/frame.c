/* SPDX-License-Identifier: PostgreSQL */
/* frame.c: every split of a good stream gives the same frames; bad ones break and stay broken. */
#include "frame.h"

#include "unit.h"

static uint8_t payload[GA_FRAME_PAYLOAD_MAX_BYTES];
static uint8_t wire[256 * 1024];

static size_t
put(size_t at, char type, const void *data, size_t bytes)
{
	CHECK(ga_frame_header(type, bytes, wire + at));
	if (bytes > 0)
		memcpy(wire + at + GA_FRAME_HEADER_BYTES, data, bytes);
	return at + GA_FRAME_HEADER_BYTES + bytes;
}

/* feeds all of wire in steps; writes "T<length> " a frame into log; returns the last status */
static GaFrameStatus
run(GaFrameDirection direction, size_t bytes, size_t step, char *log, bool *finished)
{
	GaFrameParser parser;
	GaFrameStatus status = GA_FRAME_MORE;
	size_t done = 0;

	log[0] = '\0';
	ga_frame_parser_init(&parser, direction, payload, sizeof(payload));
	while (done < bytes && status <= GA_FRAME_READY)
	{
		const uint8_t *input = wire + done;
		size_t left = bytes - done < step ? bytes - done : step;
		GaFrame frame;

		done += left;
		while ((status = ga_frame_feed(&parser, &input, &left, &frame)) == GA_FRAME_READY)
			sprintf(log + strlen(log), "%c%u ", frame.type, frame.bytes);
	}
	*finished = ga_frame_finished(&parser);
	return status;
}

static void
test_good(void)
{
	static uint8_t large[GA_FRAME_PAYLOAD_MAX_BYTES];
	char log[256];
	bool finished;
	size_t n = put(0, 'R', NULL, 0);

	n = put(n, 'o', "hello", 5);
	n = put(n, 'e', NULL, 0);
	n = put(n, 'o', large, sizeof(large));
	n = put(n, 'X', "12345678", 8);
	for (size_t step = 1; step < n; step = step * 3 + 1)
	{
		CHECK_INT(run(GA_FRAMES_FROM_INIT, n, step, log, &finished), GA_FRAME_MORE);
		CHECK(strcmp(log, "R0 o5 e0 o65536 X8 ") == 0);
		CHECK(finished);
	}
	CHECK_INT(run(GA_FRAMES_FROM_INIT, n - 1, 100, log, &finished), GA_FRAME_MORE);
	CHECK(!finished);
	n = put(put(put(0, 'L', "x", 1), 'F', "y", 1), 'D', "z", 1);
	n = put(put(put(put(n, 'D', NULL, 0), 'A', "a", 1), 'I', "i", 1), 'Z', NULL, 0);
	CHECK_INT(run(GA_FRAMES_TO_INIT, n, 2, log, &finished), GA_FRAME_MORE);
	CHECK(finished && strcmp(log, "L1 F1 D1 D0 A1 I1 Z0 ") == 0);
	CHECK_INT(run(GA_FRAMES_TO_INIT, put(0, 'P', NULL, 0), 2, log, &finished), GA_FRAME_MORE);
	CHECK(finished);
}

static void
test_bad(void)
{
	char log[256];
	bool finished;
	uint8_t header[GA_FRAME_HEADER_BYTES];
	size_t n;

	n = put(0, 'o', "x", 1);
	CHECK_INT(run(GA_FRAMES_FROM_INIT, n, 9, log, &finished), GA_FRAME_BAD_ORDER);
	n = put(put(0, 'R', NULL, 0), 'R', NULL, 0);
	CHECK_INT(run(GA_FRAMES_FROM_INIT, n, 9, log, &finished), GA_FRAME_BAD_ORDER);
	n = put(put(put(0, 'R', NULL, 0), 'X', NULL, 0), 'X', NULL, 0);
	CHECK_INT(run(GA_FRAMES_FROM_INIT, n, 1, log, &finished), GA_FRAME_BAD_ORDER);
	n = put(put(0, 'R', NULL, 0), 'X', NULL, 0);
	wire[n] = 0;
	CHECK_INT(run(GA_FRAMES_FROM_INIT, n + 1, 1, log, &finished), GA_FRAME_BAD_ORDER);
	CHECK(!finished);
	n = put(0, 'L', NULL, 0);
	CHECK_INT(run(GA_FRAMES_FROM_INIT, n, 9, log, &finished), GA_FRAME_BAD_TYPE);
	CHECK_INT(run(GA_FRAMES_TO_INIT, put(0, 'A', NULL, 0), 9, log, &finished), GA_FRAME_BAD_ORDER);
	CHECK_INT(run(GA_FRAMES_TO_INIT, put(n, 'D', NULL, 0), 9, log, &finished), GA_FRAME_BAD_ORDER);
	CHECK_INT(run(GA_FRAMES_TO_INIT, put(n, 'P', NULL, 0), 9, log, &finished), GA_FRAME_BAD_ORDER);
	memset(wire, 0, 16);
	CHECK_INT(run(GA_FRAMES_FROM_INIT, 16, 9, log, &finished), GA_FRAME_BAD_TYPE);
	n = put(0, 'R', NULL, 0);
	memcpy(wire, "R\x01\x00\x01\x00", 5); /* 65537 bytes */
	CHECK_INT(run(GA_FRAMES_FROM_INIT, 5, 5, log, &finished), GA_FRAME_OVERSIZE);
	memcpy(wire, "R\xff\xff\xff\xff", 5);
	CHECK_INT(run(GA_FRAMES_FROM_INIT, 5, 5, log, &finished), GA_FRAME_OVERSIZE);
	CHECK(!ga_frame_header('o', GA_FRAME_PAYLOAD_MAX_BYTES + 1, header));
}

static void
test_small_buffer(void)
{
	GaFrameParser parser;
	GaFrame frame;
	uint8_t small[4];
	const uint8_t *input = wire;
	size_t bytes = put(0, 'R', "12345", 5);

	ga_frame_parser_init(&parser, GA_FRAMES_FROM_INIT, small, sizeof(small));
	CHECK_INT(ga_frame_feed(&parser, &input, &bytes, &frame), GA_FRAME_OVERSIZE);
	CHECK_INT(ga_frame_feed(&parser, &input, &bytes, &frame), GA_FRAME_OVERSIZE);
}

static void
test_noise(void)
{
	char log[64 * 1024];
	bool finished;
	uint64_t random = 9;

	for (int round = 0; round < 2000; round++)
	{
		size_t n = put(0, 'R', NULL, 0);

		for (int i = 0; i < 400; i++)
			wire[n++] = (uint8_t) unit_random(&random) % (round % 2 ? 8 : 256);
		wire[unit_random(&random) % n] = "RoeEX"[unit_random(&random) % 5];
		(void) run(GA_FRAMES_FROM_INIT, n, 1 + unit_random(&random) % 50, log, &finished);
	}
	CHECK(true);
}

int
main(void)
{
	test_good();
	test_bad();
	test_small_buffer();
	test_noise();
	return unit_done();
}
