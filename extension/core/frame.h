/* SPDX-License-Identifier: PostgreSQL */
/*
 * frame.h: the frames between the executor and sbx-init: u8 type, u32 length little-endian (at most
 * 64 KiB), payload. Bytes from a sandbox are hostile: the parser is incremental, keeps to the
 * caller's buffer, knows the order of each direction, and stays broken once it broke.
 *
 * to init:   L (limits) then A (an argument) | F (a file's name) D* (its bytes) | I (stdin) in any
 *            order, then Z (go); or P (probe) alone
 * from init: R (ready) then o | e | E (output, errors, a fault) in any order, then X (wait status),
 *            then nothing
 */
#ifndef GA_FRAME_H
#define GA_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define GA_FRAME_HEADER_BYTES 5

typedef enum GaFrameDirection
{
	GA_FRAMES_TO_INIT,
	GA_FRAMES_FROM_INIT
} GaFrameDirection;

typedef enum GaFrameStatus
{
	GA_FRAME_MORE,     /* all input is taken, no frame is complete */
	GA_FRAME_READY,    /* one frame; valid until the next call */
	GA_FRAME_BAD_TYPE, /* a letter this direction does not have */
	GA_FRAME_OVERSIZE, /* longer than 64 KiB or than the buffer */
	GA_FRAME_BAD_ORDER /* a frame that may not stand here, or bytes after the last */
} GaFrameStatus;

typedef struct GaFrame
{
	char type;
	uint32_t bytes;
	const uint8_t *payload;
} GaFrame;

typedef struct GaFrameParser
{
	GaFrameDirection direction;
	GaFrameStatus broken; /* GA_FRAME_MORE while it is not */
	char last_type;       /* of the last complete frame, 0 at the start */
	uint8_t header[GA_FRAME_HEADER_BYTES];
	uint32_t header_have;
	uint32_t want;
	uint32_t have;
	uint8_t *buffer;
	size_t capacity;
} GaFrameParser;

/* buffer: room for one payload, GA_FRAME_PAYLOAD_MAX_BYTES to accept every frame. */
extern void ga_frame_parser_init(GaFrameParser *parser, GaFrameDirection direction, uint8_t *buffer,
                                 size_t capacity);

/* Takes bytes from *input (advancing it and *bytes) until one frame is complete or input ends. */
extern GaFrameStatus ga_frame_feed(GaFrameParser *parser, const uint8_t **input, size_t *bytes,
                                   GaFrame *frame);

/* True when the input may end here: between frames, and after the last one of the direction. */
extern bool ga_frame_finished(const GaFrameParser *parser);

/* False when the length is over the limit. */
extern bool ga_frame_header(char type, size_t bytes, uint8_t out[GA_FRAME_HEADER_BYTES]);

#endif /* GA_FRAME_H */
