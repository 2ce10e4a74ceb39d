/* SPDX-License-Identifier: PostgreSQL */
/*
 * frame.c: see frame.h. The header is judged before a byte of its payload is stored.
 */
#include "frame.h"

#include <string.h>

static bool
known_type(GaFrameDirection direction, char type)
{
	const char *types = direction == GA_FRAMES_TO_INIT ? "LAFDIZP" : "RoeEX";

	return type != '\0' && strchr(types, type) != NULL;
}

static bool
order_ok(GaFrameDirection direction, char last, char type)
{
	if (direction == GA_FRAMES_TO_INIT)
	{
		if (type == 'L' || type == 'P')
			return last == '\0';
		if (type == 'D')
			return last == 'F' || last == 'D';
		return last != '\0';
	}
	if (type == 'R')
		return last == '\0';
	return last != '\0' && last != 'X';
}

static bool
final_type(GaFrameDirection direction, char type)
{
	return direction == GA_FRAMES_TO_INIT ? type == 'Z' || type == 'P' : type == 'X';
}

void
ga_frame_parser_init(GaFrameParser *parser, GaFrameDirection direction, uint8_t *buffer,
                     size_t capacity)
{
	memset(parser, 0, sizeof(*parser));
	parser->direction = direction;
	parser->broken = GA_FRAME_MORE;
	parser->buffer = buffer;
	parser->capacity = capacity;
}

static GaFrameStatus
judge_header(GaFrameParser *parser)
{
	char type = (char) parser->header[0];
	uint32_t length = 0;

	for (int i = 4; i >= 1; i--)
		length = length << 8 | parser->header[i];
	if (!known_type(parser->direction, type))
		return GA_FRAME_BAD_TYPE;
	if (!order_ok(parser->direction, parser->last_type, type))
		return GA_FRAME_BAD_ORDER;
	if (length > GA_FRAME_PAYLOAD_MAX_BYTES || length > parser->capacity)
		return GA_FRAME_OVERSIZE;
	parser->want = length;
	parser->have = 0;
	return GA_FRAME_MORE;
}

GaFrameStatus
ga_frame_feed(GaFrameParser *parser, const uint8_t **input, size_t *bytes, GaFrame *frame)
{
	while (parser->broken == GA_FRAME_MORE)
	{
		size_t take;

		if (parser->header_have < GA_FRAME_HEADER_BYTES)
		{
			if (*bytes == 0)
				return GA_FRAME_MORE;
			/* after the last frame not even half a header may come */
			if (final_type(parser->direction, parser->last_type))
			{
				parser->broken = GA_FRAME_BAD_ORDER;
				break;
			}
			parser->header[parser->header_have++] = *(*input)++;
			(*bytes)--;
			if (parser->header_have == GA_FRAME_HEADER_BYTES)
				parser->broken = judge_header(parser);
			continue;
		}
		take = parser->want - parser->have;
		if (take > *bytes)
			take = *bytes;
		if (take > 0)
			memcpy(parser->buffer + parser->have, *input, take);
		parser->have += (uint32_t) take;
		*input += take;
		*bytes -= take;
		if (parser->have < parser->want)
			return GA_FRAME_MORE;
		frame->type = (char) parser->header[0];
		frame->bytes = parser->want;
		frame->payload = parser->buffer;
		parser->last_type = frame->type;
		parser->header_have = 0;
		return GA_FRAME_READY;
	}
	return parser->broken;
}

bool
ga_frame_finished(const GaFrameParser *parser)
{
	return parser->broken == GA_FRAME_MORE && parser->header_have == 0 &&
	       final_type(parser->direction, parser->last_type);
}

bool
ga_frame_header(char type, size_t bytes, uint8_t out[GA_FRAME_HEADER_BYTES])
{
	if (bytes > GA_FRAME_PAYLOAD_MAX_BYTES)
		return false;
	out[0] = (uint8_t) type;
	for (int i = 1; i < GA_FRAME_HEADER_BYTES; i++)
		out[i] = (uint8_t) (bytes >> (8 * (i - 1)));
	return true;
}
