/* SPDX-License-Identifier: PostgreSQL */
/*
 * What happens when goldenarch.so is loaded: settings are defined, callbacks registered, and, only
 * while shared_preload_libraries are loaded, shared memory requested and the static workers
 * registered. Loading allocates nothing that a failed load would leave behind.
 */
#include "goldenarch/compat.h"

#include "miscadmin.h"

#include "goldenarch/guc.h"
#include "goldenarch/shmem.h"
#include "goldenarch/version.h"
#include "ground.h"
#include "identity.h"
#include "launch.h"

PG_MODULE_MAGIC;

extern GA_EXPORT void _PG_init(void);
extern GA_EXPORT uint32 ga_abi_version(void);

/* What goldenarch_bridge.so compares with the number it was built with. */
uint32
ga_abi_version(void)
{
	return GA_ABI;
}

void
_PG_init(void)
{
	ga_guc_define();
	ga_query_init();
	ga_wake_init();
	ga_identity_init();
	if (!process_shared_preload_libraries_in_progress)
		return;
	ga_shmem_setup();
	ga_register_static_workers();
}
