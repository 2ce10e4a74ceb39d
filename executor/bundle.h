/* SPDX-License-Identifier: PostgreSQL */
/* bundle.h: the root file system and the OCI configuration that every sandbox starts from. */
#ifndef GOLDENARCH_EXECUTOR_BUNDLE_H
#define GOLDENARCH_EXECUTOR_BUNDLE_H

#include "limits.h"
#include "options.h"

#define GA_DEFAULT_ROOTFS "default"
#define GA_MAX_PIDS (GA_JOB_PIDS_MAX + 8) /* with sbx-init and room for its checks */

/* Build what the shipped rootfs lacks: empty folders, links and sbx-init; never a host file. */
bool ga_bundle_build_default(const GaOptions *options, char *why);
/* Is this a name that may stand below --rootfs-dir? */
bool ga_bundle_name_ok(const char *rootfs);
/* Write <state>/bundles/<rootfs>/config.json and give the bundle's path. */
bool ga_bundle_prepare(const GaOptions *options, const char *rootfs, char *bundle, char *why);

#endif
