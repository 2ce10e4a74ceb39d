/* SPDX-License-Identifier: PostgreSQL */
/*
 * Metrics for SQL and for scrapers: the shared counters, and gauges read from tables when asked.
 * A gauge is one fixed statement of indexed reads that gives (labels jsonb, value float8) rows; its
 * label sets are bounded (states, names an operator configured), never a caller's text.
 */
#include "goldenarch/metrics.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "goldenarch/version.h"
#include "ground.h"

typedef struct Gauge
{
	const char *name;
	const char *help;
	GaStmt *read;
} Gauge;

static GaStmt read_version =
    GA_STMT("SELECT pg_catalog.jsonb_build_object('version', '" GOLDENARCH_VERSION
            "'), 1::pg_catalog.float8");

/* The count of the rows that are still open, which partial indexes hold, by their state. */
#define COUNT_BY(column, table, open)                                                             \
	GA_STMT("SELECT pg_catalog.jsonb_build_object('" column "', x." column "::pg_catalog.text), " \
	        "pg_catalog.count(*)::pg_catalog.float8 FROM goldenarch." table " x WHERE " open      \
	        " GROUP BY x." column " ORDER BY 1")

static GaStmt read_tasks = COUNT_BY("state", "tasks", "x.finished_at IS NULL");
static GaStmt read_jobs =
    COUNT_BY("state", "jobs",
             "x.state OPERATOR(pg_catalog.=) 'queued' OR x.state OPERATOR(pg_catalog.=) 'running'");
static GaStmt read_reviews =
    COUNT_BY("status", "peer_review_sessions", "x.status OPERATOR(pg_catalog.=) 'open'");
static GaStmt read_escalations =
    COUNT_BY("status", "escalations", "x.status OPERATOR(pg_catalog.=) 'open'");
static GaStmt read_approvals =
    COUNT_BY("state", "approvals", "x.state OPERATOR(pg_catalog.=) 'pending'");
static GaStmt read_dead_letters = COUNT_BY("source", "dead_letters", "x.resolved_at IS NULL");

/* The last audit tree, alone. */
#define OF_TREE(value)                                                                     \
	GA_STMT("SELECT '{}'::pg_catalog.jsonb, (" value ")::pg_catalog.float8 FROM "          \
	        "goldenarch.audit_trees t WHERE t.incarnation OPERATOR(pg_catalog.=) (SELECT " \
	        "pg_catalog.max(x.incarnation) FROM goldenarch.audit_trees x)")
#define SECONDS_SINCE(time) \
	"pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) " time ")"
#define UNSEALED                                                                               \
	"FROM goldenarch.audit_entries_rows e WHERE e.xid OPERATOR(pg_catalog.>=) "                \
	"pg_catalog.pg_snapshot_xmax(t.sealed) OR e.xid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT " \
	"s.x FROM pg_catalog.pg_snapshot_xip(t.sealed) s(x)))"

static GaStmt read_tree_size = OF_TREE("t.size");
static GaStmt read_unsealed = OF_TREE("SELECT pg_catalog.count(*) " UNSEALED);
static GaStmt read_seal_lag =
    OF_TREE("SELECT coalesce(" SECONDS_SINCE("pg_catalog.min(e.at)") ", 0) " UNSEALED);
static GaStmt read_head_age = OF_TREE("coalesce((SELECT " SECONDS_SINCE(
    "h.signed_at") " FROM goldenarch.audit_heads h "
                   "ORDER BY h.id USING OPERATOR(pg_catalog.>) LIMIT 1), 0)");

static const Gauge gauges[] = {
    {"goldenarch_build_info", "Version of the library that answers", &read_version},
    {"goldenarch_tasks", "Unfinished tasks", &read_tasks},
    {"goldenarch_sandbox_jobs", "Sandbox jobs queued and running", &read_jobs},
    {"goldenarch_peer_reviews", "Open peer reviews", &read_reviews},
    {"goldenarch_escalations", "Open escalations", &read_escalations},
    {"goldenarch_approvals", "Approval requests that wait for a decision", &read_approvals},
    {"goldenarch_audit_tree_size", "Leaves of the audit tree", &read_tree_size},
    {"goldenarch_audit_unsealed_rows", "Audit rows that are no leaves yet", &read_unsealed},
    {"goldenarch_audit_seal_lag_seconds", "Age of the oldest audit row that is no leaf yet",
     &read_seal_lag},
    {"goldenarch_audit_head_age_seconds", "Age of the last head of the audit tree", &read_head_age},
    {"goldenarch_dlq_messages", "Unresolved dead letters by source", &read_dead_letters},
};

static const struct
{
	const char *name;
	const char *help;
} counters[] = {
#define X(id, name, help) {name, help},
    GA_COUNTERS(X)
#undef X
};

typedef struct Metric
{
	const char *name;
	const char *kind;
	Jsonb *labels;
	double value;
	const char *help;
} Metric;

typedef void (*Take)(const Metric *metric, void *arg);

/* Every metric, those of one name together. Inside ga_enter. */
static void
each_metric(Take take, void *arg)
{
	static GaStmt no_labels = GA_STMT("SELECT '{}'::pg_catalog.jsonb");
	GaRows none = ga_query(&no_labels);
	Jsonb *empty = ga_row_jsonb(&none, 0, 1);
	int i;

	for (i = 0; i < GA_COUNTER_COUNT; i++)
	{
		Metric metric = {counters[i].name, "counter", empty,
		                 (double) ga_counter_value((GaCounter) i), counters[i].help};

		take(&metric, arg);
	}
	for (i = 0; i < (int) lengthof(gauges); i++)
	{
		GaRows rows = ga_query(gauges[i].read);
		uint64 row;

		for (row = 0; row < rows.count; row++)
		{
			Metric metric = {gauges[i].name, "gauge", ga_row_jsonb(&rows, row, 1),
			                 ga_row_float8(&rows, row, 2), gauges[i].help};

			take(&metric, arg);
		}
	}
}

/* For members of pg_monitor, which scrapers are, and for principals with metrics.view. */
static void
enter(GaCall *call)
{
	if (!is_member_of_role(GetUserId(), ROLE_PG_MONITOR))
		ga_require_permission(ga_principal(), "metrics.view");
	ga_enter_as(call, &ga_system_principal);
}

static void
add_row(const Metric *metric, void *arg)
{
	FunctionCallInfo fcinfo = arg;
	Datum values[5] = {CStringGetTextDatum(metric->name), CStringGetTextDatum(metric->kind),
	                   JsonbPGetDatum(metric->labels), Float8GetDatum(metric->value),
	                   CStringGetTextDatum(metric->help)};
	bool nulls[5] = {false};

	ga_set_add(fcinfo, values, nulls);
}

GA_FUNCTION(ga_metric_rows);
Datum
ga_metric_rows(PG_FUNCTION_ARGS)
{
	GaCall call;

	ga_set_begin(fcinfo);
	enter(&call);
	each_metric(add_row, fcinfo);
	ga_leave(&call);
	return (Datum) 0;
}

typedef struct Text
{
	StringInfoData out;
	const char *family; /* name of the family whose HELP and TYPE are out */
} Text;

static void
append_escaped(StringInfo out, const char *text, int len)
{
	int i;

	for (i = 0; i < len; i++)
	{
		if (text[i] == '\\' || text[i] == '"')
			appendStringInfoChar(out, '\\');
		if (text[i] == '\n')
			appendStringInfoString(out, "\\n");
		else
			appendStringInfoChar(out, text[i]);
	}
}

static void
append_labels(StringInfo out, Jsonb *labels)
{
	JsonbIterator *it = JsonbIteratorInit(&labels->root);
	JsonbValue value;
	JsonbIteratorToken token;
	bool first = true;

	if (JB_ROOT_COUNT(labels) == 0)
		return;
	appendStringInfoChar(out, '{');
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			appendStringInfo(out, "%s%.*s=\"", first ? "" : ",", value.val.string.len,
			                 value.val.string.val);
			first = false;
		}
		else if (token == WJB_VALUE)
		{
			if (value.type == jbvString)
				append_escaped(out, value.val.string.val, value.val.string.len);
			appendStringInfoChar(out, '"');
		}
	}
	appendStringInfoChar(out, '}');
}

static void
add_text(const Metric *metric, void *arg)
{
	Text *text = arg;
	bool counter = strcmp(metric->kind, "counter") == 0;
	/* OpenMetrics: the family of a counter has no _total, its sample does. */
	int family_len = (int) strlen(metric->name) - (counter ? (int) strlen("_total") : 0);

	if (!text->family || strcmp(text->family, metric->name) != 0)
	{
		appendStringInfo(&text->out, "# HELP %.*s ", family_len, metric->name);
		append_escaped(&text->out, metric->help, (int) strlen(metric->help));
		appendStringInfo(&text->out, "\n# TYPE %.*s %s\n", family_len, metric->name, metric->kind);
		text->family = metric->name;
	}
	appendStringInfoString(&text->out, metric->name);
	append_labels(&text->out, metric->labels);
	appendStringInfo(&text->out, " %.17g\n", metric->value);
}

char *
ga_metrics_text(void)
{
	Text text = {.family = NULL};

	initStringInfo(&text.out);
	each_metric(add_text, &text);
	appendStringInfoString(&text.out, "# EOF\n");
	return text.out.data;
}

GA_FUNCTION(ga_prometheus_metrics);
Datum
ga_prometheus_metrics(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *text;

	(void) fcinfo;
	enter(&call);
	text = MemoryContextStrdup(call.result_context, ga_metrics_text());
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

/* What waits and what runs, by the service whose replicas an autoscaler sets. */
static const struct
{
	const char *service;
	GaStmt *count;
} backlogs[] = {
    {"reviews", &read_reviews},
    {"supervisor", &read_escalations},
    {"orchestrator", &read_tasks},
    {"sandbox", &read_jobs},
};

GA_FUNCTION(ga_autoscale_backlog);
Datum
ga_autoscale_backlog(PG_FUNCTION_ARGS)
{
	GaCall call;
	double waiting = 0;
	char *service;
	int i = 0;

	enter(&call);
	service = ga_arg_text(fcinfo, 0, "service");
	while (i < (int) lengthof(backlogs) && strcmp(backlogs[i].service, service) != 0)
		i++;
	if (i == (int) lengthof(backlogs))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("there is no service \"%s\"", service),
		                errhint("One of reviews, supervisor, orchestrator, sandbox.")));
	{
		GaRows rows = ga_query(backlogs[i].count);
		uint64 row;

		for (row = 0; row < rows.count; row++)
			waiting += ga_row_float8(&rows, row, 2);
	}
	ga_leave(&call);
	PG_RETURN_FLOAT8(waiting);
}
