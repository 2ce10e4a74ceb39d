/* SPDX-License-Identifier: PostgreSQL */
/* What maintenance and health() ask of the sandbox jobs; each runs inside ga_enter as GA_SYSTEM. */
#ifndef SANDBOX_LEASE_H
#define SANDBOX_LEASE_H

#include "goldenarch/health.h"

extern int64 ga_sandbox_expire_leases(void);
extern int64 ga_sandbox_notify(void);
extern int64 ga_sandbox_retain(void);
extern GaHealth ga_sandbox_health(void);

#endif
