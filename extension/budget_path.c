/* SPDX-License-Identifier: PostgreSQL */
/*
 * Budget paths and request ids: what callers may write. A path has one to eight segments of visible
 * ASCII without a slash; the first is the tenant. Pure: no lock, no table.
 */
#include "budget.h"

#include "utils/builtins.h"

#include "goldenarch/error.h"

static void
check_segment(const char *segment, size_t bytes)
{
	size_t i;

	if (bytes == 0)
		ga_bad_argument("budget", "A path has no empty segment.");
	if (bytes > GA_TENANT_MAX_BYTES)
		ga_bad_argument("budget", "A segment of a path has at most 63 bytes.");
	for (i = 0; i < bytes; i++)
		if ((unsigned char) segment[i] < 0x21 || (unsigned char) segment[i] > 0x7e)
			ga_bad_argument("budget", "A path is made of visible ASCII characters.");
}

void
ga_budget_path(const char *text, GaBudgetPath *path)
{
	const char *segment = text;

	if (strlen(text) > GA_BUDGET_PATH_MAX_BYTES)
		ga_bad_argument("budget", "A path has at most 512 bytes.");
	path->path = pstrdup(text);
	path->nlevels = 0;
	for (;;)
	{
		size_t bytes = strcspn(segment, "/");

		check_segment(segment, bytes);
		if (path->nlevels == GA_BUDGET_DEPTH_MAX)
			ga_bad_argument("budget", "A path has at most 8 segments.");
		if (path->nlevels == 0)
			strlcpy(path->tenant, segment, bytes + 1);
		path->levels[path->nlevels++] = pnstrdup(text, (Size) (segment - text) + bytes);
		if (segment[bytes] == '\0')
			return;
		segment += bytes + 1;
	}
}

char *
ga_budget_request_id(FunctionCallInfo fcinfo, int n)
{
	char *id = ga_arg_text(fcinfo, n, "request_id");

	if (strlen(id) > GA_REQUEST_ID_MAX_BYTES)
		ga_bad_argument("request_id", "A request id has at most 200 bytes.");
	return id;
}
