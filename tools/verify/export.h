/* SPDX-License-Identifier: PostgreSQL */
/*
 * export.h: an audit log into a folder, in the layout that check.h describes. Reads functions
 * alone. The last incarnation takes one checkpoint first, and then what is below its size. Into a
 * folder that holds an export, only what is new is written; what the server has pruned since stays.
 */
#ifndef GA_VERIFY_EXPORT_H
#define GA_VERIFY_EXPORT_H

#include <stdbool.h>

/* False: stderr has said why. */
extern bool ga_export(const char *dsn, const char *path, bool details);

#endif
