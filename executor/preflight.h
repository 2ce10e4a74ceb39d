/* SPDX-License-Identifier: PostgreSQL */
/* preflight.h: proof, before the first claim, that the walls stand on this host. */
#ifndef GOLDENARCH_EXECUTOR_PREFLIGHT_H
#define GOLDENARCH_EXECUTOR_PREFLIGHT_H

#include "sandbox.h"

/* Find runsc and have it say its version. */
bool ga_preflight_runsc(const GaOptions *options, char *version, size_t room, char *why);
/* Start one sandbox, look at every wall from inside and from the leaf, and take it down again. */
bool ga_preflight_canary(const GaHost *host, char *why);

#endif
