/* SPDX-License-Identifier: PostgreSQL */
/*
 * The settings, one table entry each. Sizes of shared tables are defined only while preloading: a
 * PGC_POSTMASTER setting that appears later would make CREATE EXTENSION fail.
 */
#include "goldenarch/guc.h"

#include <float.h>
#include <limits.h>

#include "miscadmin.h"

#include "goldenarch/debug.h"
#include "debug_point.h"

char *ga_guc_databases;
char *ga_guc_nats_url;
char *ga_guc_nats_credentials_file;
char *ga_guc_nats_tls_ca_file;
char *ga_guc_nats_tls_cert_file;
char *ga_guc_nats_tls_key_file;
char *ga_guc_redis_url;
int ga_guc_audit_wait;
char *ga_guc_audit_key_file;
bool ga_guc_allow_session_identity;
double ga_guc_default_token_limit;
int ga_guc_metrics_port;
int ga_guc_maintenance_interval;
int ga_guc_retention_messages;
int ga_guc_retention_jobs;
int ga_guc_retention_tasks;
int ga_guc_retention_budget;
int ga_guc_retention_dead_letters;
int ga_guc_max_rate_keys = 10000;
int ga_guc_max_breakers = 256;
int ga_guc_max_denials_waiting = 256;
int ga_guc_max_outbox_backlog;
int ga_guc_max_jobs_queued;

#define DAY_MIN (24 * 60)
#define URL_FLAGS GUC_SUPERUSER_ONLY

typedef struct StringSetting
{
	const char *name;
	const char *text;
	char **variable;
	const char *boot;
	GucContext context;
	int flags;
} StringSetting;

static const StringSetting strings[] = {
    {"goldenarch.nats_url",
     "NATS servers of the bridge, comma separated; empty: the bridge is off.", &ga_guc_nats_url, "",
     PGC_SIGHUP, URL_FLAGS},
    {"goldenarch.nats_credentials_file", "File with the NATS user's JWT and seed.",
     &ga_guc_nats_credentials_file, "", PGC_SIGHUP, URL_FLAGS},
    {"goldenarch.nats_tls_ca_file", "Certificates that the NATS server must chain to; set: TLS.",
     &ga_guc_nats_tls_ca_file, "", PGC_SIGHUP, URL_FLAGS},
    {"goldenarch.nats_tls_cert_file", "Our certificate towards NATS.", &ga_guc_nats_tls_cert_file,
     "", PGC_SIGHUP, URL_FLAGS},
    {"goldenarch.nats_tls_key_file", "Key of our certificate towards NATS.",
     &ga_guc_nats_tls_key_file, "", PGC_SIGHUP, URL_FLAGS},
    {"goldenarch.audit_key_file",
     "File with the keys that sign heads of the audit tree, made when there is none; empty: "
     "unsigned heads.",
     &ga_guc_audit_key_file, "", PGC_SIGHUP, URL_FLAGS},
    {"goldenarch.redis_url", "Redis server that mirrors budget states; empty: no mirror.",
     &ga_guc_redis_url, "", PGC_SIGHUP, URL_FLAGS},
};

typedef struct IntSetting
{
	const char *name;
	const char *text;
	int *variable;
	int boot;
	int min;
	int max;
	GucContext context;
	int flags;
} IntSetting;

static const IntSetting integers[] = {
    {"goldenarch.audit_wait",
     "Longest wait for a denial to be on disk before the call fails closed.", &ga_guc_audit_wait,
     5000, 100, 60000, PGC_SUSET, GUC_UNIT_MS},
    {"goldenarch.maintenance_interval", "Time between two runs of the maintenance worker.",
     &ga_guc_maintenance_interval, 5, 1, 3600, PGC_SIGHUP, GUC_UNIT_S},
    {"goldenarch.retention_messages", "How long published and handled messages are kept.",
     &ga_guc_retention_messages, 60, 1, INT_MAX / 60, PGC_SIGHUP, GUC_UNIT_MIN},
    {"goldenarch.retention_jobs", "How long finished sandbox jobs are kept.",
     &ga_guc_retention_jobs, 7 * DAY_MIN, 1, INT_MAX / 60, PGC_SIGHUP, GUC_UNIT_MIN},
    {"goldenarch.retention_tasks", "How long finished tasks and their reviews are kept.",
     &ga_guc_retention_tasks, 90 * DAY_MIN, 1, INT_MAX / 60, PGC_SIGHUP, GUC_UNIT_MIN},
    {"goldenarch.retention_budget", "How long settled reservations of closed periods are kept.",
     &ga_guc_retention_budget, 400 * DAY_MIN, DAY_MIN, INT_MAX / 60, PGC_SIGHUP, GUC_UNIT_MIN},
    {"goldenarch.retention_dead_letters", "How long resolved dead letters are kept.",
     &ga_guc_retention_dead_letters, 90 * DAY_MIN, 1, INT_MAX / 60, PGC_SIGHUP, GUC_UNIT_MIN},
    {"goldenarch.max_outbox_backlog", "Messages that may wait for publication; 0: no cap.",
     &ga_guc_max_outbox_backlog, 0, 0, INT_MAX, PGC_SIGHUP, 0},
    {"goldenarch.max_jobs_queued", "Sandbox jobs of one tenant that may wait.",
     &ga_guc_max_jobs_queued, 10000, 1, INT_MAX, PGC_SIGHUP, 0},
};

static const IntSetting preload_integers[] = {
    {"goldenarch.metrics_port",
     "Loopback port that serves OpenMetrics text of the first database; 0: off.",
     &ga_guc_metrics_port, 0, 0, 65535, PGC_POSTMASTER, 0},
    {"goldenarch.max_rate_keys", "Keys that rate limits can count at a time.",
     &ga_guc_max_rate_keys, 10000, 64, 10000000, PGC_POSTMASTER, 0},
    {"goldenarch.max_breakers", "Circuit breakers that can exist.", &ga_guc_max_breakers, 256, 8,
     65536, PGC_POSTMASTER, 0},
    {"goldenarch.max_denials_waiting",
     "Denials of a database that can wait for the audit writer at a time.",
     &ga_guc_max_denials_waiting, 256, 16, 8192, PGC_POSTMASTER, 0},
};

static void
define_integers(const IntSetting *table, int n)
{
	int i;

	for (i = 0; i < n; i++)
		DefineCustomIntVariable(table[i].name, table[i].text, NULL, table[i].variable,
		                        table[i].boot, table[i].min, table[i].max, table[i].context,
		                        table[i].flags, NULL, NULL, NULL);
}

void
ga_guc_define(void)
{
	int i;

	for (i = 0; i < (int) lengthof(strings); i++)
		DefineCustomStringVariable(strings[i].name, strings[i].text, NULL, strings[i].variable,
		                           strings[i].boot, strings[i].context, strings[i].flags, NULL,
		                           NULL, NULL);
	define_integers(integers, lengthof(integers));
	DefineCustomBoolVariable("goldenarch.allow_session_identity",
	                         "Allows authenticate(token, whole_session => true).", NULL,
	                         &ga_guc_allow_session_identity, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("goldenarch.default_token_limit",
	                         "Monthly token limit of a budget that its first use creates; 0: an "
	                         "unknown budget is an error.",
	                         NULL, &ga_guc_default_token_limit, 0, 0, 9.0e15, PGC_SUSET, 0, NULL,
	                         NULL, NULL);
#ifdef GA_DEBUG
	ga_debug_define();
#endif
	if (process_shared_preload_libraries_in_progress)
	{
		DefineCustomStringVariable("goldenarch.databases",
		                           "Databases that workers serve, comma separated.", NULL,
		                           &ga_guc_databases, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
		define_integers(preload_integers, lengthof(preload_integers));
	}
	MarkGUCPrefixReserved("goldenarch");
}
