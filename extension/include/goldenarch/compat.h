/* SPDX-License-Identifier: PostgreSQL */
/*
 * The one place that knows server versions. PostgreSQL 15 hides nothing by default, so the build
 * passes -fvisibility=hidden and defines PGDLLEXPORT itself; every symbol that SQL or the bridge
 * reaches is declared with one of the two macros below.
 */
#ifndef GOLDENARCH_COMPAT_H
#define GOLDENARCH_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/guc.h"

/* A C function of the SQL API. */
#define GA_FUNCTION(name)                            \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* A symbol that goldenarch_bridge.so uses, or that the postmaster looks up by name. */
#define GA_EXPORT PGDLLEXPORT

/* stringToQualifiedNameList() (utils/regproc.h) got an error context in 16. */
#if PG_VERSION_NUM >= 160000
#define ga_qualified_name_list(name) stringToQualifiedNameList((name), NULL)
#else
#define ga_qualified_name_list(name) stringToQualifiedNameList(name)
#endif

/* Privileges by kind of object became one function in 16. */
#if PG_VERSION_NUM >= 160000
#define ga_is_relation_owner(relation, role) object_ownercheck(RelationRelationId, relation, role)
#define ga_may_execute(function, role) \
	(object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK)
#else
#define ga_is_relation_owner(relation, role) pg_class_ownercheck(relation, role)
#define ga_may_execute(function, role) \
	(pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK)
#endif

/* What an index keeps between insertions, 17 wants let go of. */
#if PG_VERSION_NUM >= 170000
#define ga_index_insert_cleanup(index, info) index_insert_cleanup(index, info)
#else
#define ga_index_insert_cleanup(index, info) ((void) (info))
#endif

/* After a declaration's parameters; the server's own macro changed place and name in 18. */
#define GA_NORETURN __attribute__((noreturn))

/* The wait event of every wait of ours; 17 can name it. */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define GA_WAIT_EVENT(name) WaitEventExtensionNew(name)
#else
#include "utils/wait_event.h"
#define GA_WAIT_EVENT(name) ((uint32) PG_WAIT_EXTENSION)
#endif

#endif
