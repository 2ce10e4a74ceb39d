/* SPDX-License-Identifier: PostgreSQL */
/* health(): the table of components and the function that asks each (goldenarch/health.h). */
#include "goldenarch/health.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "goldenarch/audit.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "goldenarch/shmem.h"
#include "goldenarch/version.h"
#include "audit_seal.h"
#include "bridge_state.h"
#include "ground.h"
#include "rbac.h"
#include "sandbox_lease.h"

static const char *const status_names[] = {"ok", "degraded", "down", "off"};

static GaHealth
check_extension(void)
{
	if (!ga_preloaded())
		return (GaHealth){GA_HEALTH_DEGRADED,
		                  "not preloaded: no rate limits, breakers, counters or static workers"};
	return (GaHealth){GA_HEALTH_OK, "goldenarch " GOLDENARCH_VERSION ", preloaded"};
}

static GaHealth
check_audit(void)
{
	GaHealth sealing;
	uint64 lost = ga_counter_value(GA_COUNT_DENIAL_LOST);
	int64 spooled = ga_denials_spooled();
	int writer = ga_worker_pid(GA_WORKER_AUDIT_WRITER);

	if (spooled != 0)
		return (GaHealth){GA_HEALTH_DEGRADED,
		                  spooled < 0 ? "the spool file of denials cannot be read"
		                              : psprintf(INT64_FORMAT " records in the spool file wait for "
		                                                      "the table to take them",
		                                         spooled)};
	if (lost > 0)
		return (GaHealth){GA_HEALTH_DEGRADED,
		                  psprintf(UINT64_FORMAT " denials could not be recorded in time", lost)};
	/* Last: it reads tables, which may be what is locked while a spool is in use. */
	sealing = ga_seal_health();
	if (sealing.status != GA_HEALTH_OK)
		return sealing;
	if (writer == 0)
		return (GaHealth){GA_HEALTH_OK, psprintf("denials by one-shot worker; %s", sealing.detail)};
	return (GaHealth){GA_HEALTH_OK, psprintf("denials by worker %d; %s", writer, sealing.detail)};
}

static GaHealth
check_maintenance(void)
{
	int pid = ga_worker_pid(GA_WORKER_MAINTENANCE);

	if (!ga_preloaded())
		return (GaHealth){GA_HEALTH_OFF, "not preloaded: start_workers() or pg_cron does it"};
	if (pid == 0)
		return (GaHealth){GA_HEALTH_DOWN,
		                  "no maintenance worker; is this database in goldenarch.databases?"};
	return (GaHealth){GA_HEALTH_OK, psprintf("worker %d", pid)};
}

static const GaHealthComponent components[] = {
    {"extension", check_extension},     {"audit", check_audit},
    {"maintenance", check_maintenance}, {"nats", ga_bridge_check_nats},
    {"redis", ga_bridge_check_redis},   {"executor", ga_sandbox_health},
    {"identity", ga_identity_health},
};

GA_FUNCTION(ga_sql_health);
Datum
ga_sql_health(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaHealth found[lengthof(components)];
	int i;

	if (!is_member_of_role(GetUserId(), ROLE_PG_MONITOR))
		ga_require_permission(ga_principal(), "metrics.view");
	ga_enter_as(&call, &ga_system_principal);
	for (i = 0; i < (int) lengthof(components); i++)
	{
		found[i] = components[i].check();
		found[i].detail = MemoryContextStrdup(call.result_context, found[i].detail);
	}
	ga_leave(&call);
	ga_set_begin(fcinfo);
	for (i = 0; i < (int) lengthof(components); i++)
	{
		Datum values[3] = {CStringGetTextDatum(components[i].name),
		                   CStringGetTextDatum(status_names[found[i].status]),
		                   CStringGetTextDatum(found[i].detail)};
		bool nulls[3] = {false};

		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
