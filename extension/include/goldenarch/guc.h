/* SPDX-License-Identifier: PostgreSQL */
/*
 * Settings. No secret is a setting. The table in guc.c is their one definition: type, bounds, unit,
 * context, text. Sizes of shared tables exist only while preloading (PGC_POSTMASTER).
 */
#ifndef GOLDENARCH_GUC_H
#define GOLDENARCH_GUC_H

#include "goldenarch/compat.h"

extern GA_EXPORT char *ga_guc_databases;
extern GA_EXPORT char *ga_guc_nats_url;
extern GA_EXPORT char *ga_guc_nats_credentials_file;
extern GA_EXPORT char *ga_guc_nats_tls_ca_file;
extern GA_EXPORT char *ga_guc_nats_tls_cert_file;
extern GA_EXPORT char *ga_guc_nats_tls_key_file;
extern GA_EXPORT char *ga_guc_redis_url;
extern GA_EXPORT int ga_guc_audit_wait; /* ms */
extern GA_EXPORT char *ga_guc_audit_key_file;
extern GA_EXPORT bool ga_guc_allow_session_identity;
extern GA_EXPORT double ga_guc_default_token_limit; /* tokens; 0: unknown budgets are errors */
extern GA_EXPORT int ga_guc_metrics_port;           /* 0: off */
extern GA_EXPORT int ga_guc_maintenance_interval;   /* s */
extern GA_EXPORT int ga_guc_retention_messages;     /* min: published outbox rows and inbox rows */
extern GA_EXPORT int ga_guc_retention_jobs;         /* min: finished sandbox jobs */
extern GA_EXPORT int ga_guc_retention_tasks;        /* min: finished tasks and their reviews */
extern GA_EXPORT int
    ga_guc_retention_budget; /* min: settled budget transactions of closed periods */
extern GA_EXPORT int ga_guc_retention_dead_letters; /* min: resolved dead letters */
extern GA_EXPORT int ga_guc_max_rate_keys;
extern GA_EXPORT int ga_guc_max_breakers;
extern GA_EXPORT int ga_guc_max_denials_waiting; /* of a database */
extern GA_EXPORT int ga_guc_max_outbox_backlog;  /* rows; 0: no cap */
extern GA_EXPORT int ga_guc_max_jobs_queued;     /* rows a tenant */

extern void ga_guc_define(void);

#endif
