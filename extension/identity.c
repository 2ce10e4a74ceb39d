/* SPDX-License-Identifier: PostgreSQL */
/*
 * The token in force: authenticate(), logout(), whoami().
 *
 * State is C memory of this backend, which no SQL can write. A token counts to the end of its
 * transaction, or of the session, never past its expiry, and only while the session user is the
 * one who showed it. Rollback to a savepoint restores what was before it; but once a transaction
 * has shown a token, whatever follows the token in it is anonymous, never the mapped role: losing
 * an identity raises no rights. Identities are freed at the end of the transaction, so a pinned
 * principal stays valid for its statement. No locks, no tables.
 */
#include "identity.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "digest.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "rbac.h"

#define SECRET_HEAD_BYTES 8

typedef struct Identity
{
	GaPrincipal principal;
	MemoryContext context; /* holds this struct too */
	uint8 token_hash[GA_HASH_BYTES];
	Oid session_user;
	struct Identity *next; /* of all that this transaction made */
} Identity;

/* What a subtransaction may have to restore. */
typedef struct State
{
	Identity *current; /* in force now */
	Identity *remains; /* in force after this transaction */
} State;

typedef struct Saved
{
	struct Saved *next;
	int nest_level;
	State was;
} Saved;

static State state;
static Saved *saved;
static Identity *made;  /* in this transaction */
static bool token_seen; /* in this transaction: no way back to the mapped role */
static ProcessUtility_hook_type next_utility_hook;

const GaPrincipal *
ga_anonymous_principal(void)
{
	static const char *roles[] = {"anonymous", NULL};
	static GaPrincipal anonymous = {.kind = GA_ANONYMOUS,
	                                .subject = "anonymous",
	                                .tenant = "",
	                                .nroles = 1,
	                                .roles = roles,
	                                .expires_at = DT_NOEND,
	                                .id = 1};

	anonymous.pg_role = GetUserId();
	return &anonymous;
}

static bool
expired(const Identity *identity)
{
	return ga_now() >= identity->principal.expires_at;
}

const GaPrincipal *
ga_token_principal(void)
{
	if (!state.current)
		return token_seen ? ga_anonymous_principal() : NULL;
	if (state.current->session_user != GetSessionUserId() || expired(state.current))
		return ga_anonymous_principal();
	state.current->principal.pg_role = GetUserId();
	return &state.current->principal;
}

/* Remember the state for the running subtransaction, once a level. */
static void
save_state(void)
{
	int level = GetCurrentTransactionNestLevel();
	Saved *entry;

	token_seen = true;
	if (saved && saved->nest_level == level)
		return;
	entry = MemoryContextAlloc(TopMemoryContext, sizeof(Saved));
	entry->nest_level = level;
	entry->was = state;
	entry->next = saved;
	saved = entry;
}

static void
pop_saved(void)
{
	Saved *entry = saved;

	saved = entry->next;
	pfree(entry);
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	(void) mine;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (saved && saved->nest_level >= level)
		{
			state = saved->was;
			pop_saved();
		}
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB && saved && saved->nest_level >= level)
	{
		/* the parent's own memory of the state, if it has one, is the older */
		if (saved->next && saved->next->nest_level == level - 1)
			pop_saved();
		else
			saved->nest_level = level - 1;
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	Identity *before = saved ? NULL : state.remains;

	(void) arg;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	while (saved)
	{
		before = saved->was.remains; /* of the outermost level, at last */
		if (event == XACT_EVENT_ABORT)
			state = saved->was;
		pop_saved();
	}
	state.current = state.remains;
	token_seen = false;
	ga_principal_end_transaction();
	if (before && before != state.remains)
		MemoryContextDelete(before->context);
	while (made)
	{
		Identity *identity = made;

		made = identity->next;
		identity->next = NULL;
		if (identity != state.remains && identity != before)
			MemoryContextDelete(identity->context);
	}
}

void
ga_identity_forget(void)
{
	if (state.current)
		save_state();
	state.current = state.remains = NULL;
	token_seen = false;
}

/* DISCARD ALL is what poolers send between clients; it ends a session identity as logout() does. */
static void
on_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
           ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
           DestReceiver *receiver, QueryCompletion *completion)
{
	/* asked before: what ends a transaction may free the statement */
	bool discard_all = IsA(statement->utilityStmt, DiscardStmt) &&
	                   ((DiscardStmt *) statement->utilityStmt)->target == DISCARD_ALL;

	if (next_utility_hook)
		next_utility_hook(statement, query, read_only_tree, context, params, environment, receiver,
		                  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
		                        receiver, completion);
	if (discard_all && state.current)
	{
		save_state();
		state.current = state.remains = NULL;
	}
}

void
ga_identity_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	next_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}

void
ga_hide_secret(const char *secret)
{
	size_t length = strlen(secret);
	size_t left = debug_query_string ? strlen(debug_query_string) : 0;
	char *at = unconstify(char *, debug_query_string);
	bool found = false;

	/* a needle of a thousand bytes would cost more than the search: look for its head */
	while (length >= SECRET_HEAD_BYTES && left >= length &&
	       (at = memmem(at, left, secret, SECRET_HEAD_BYTES)))
	{
		left = strlen(at);
		if (strncmp(at, secret, length) == 0)
		{
			if (!found)
				pgstat_report_activity(STATE_RUNNING, "<a statement with a secret in it>");
			found = true;
			/* a text that holds the secret is no constant of the server's */
			memset(at, '*', length);
		}
		at++;
		left--;
	}
}

/* Identity is no business of code that runs under another's REFRESH, ANALYZE or REINDEX. */
static void
refuse_foreign_code(const char *what)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("cannot %s within a security-restricted operation", what)));
}

/* True when the identity in force must stay: a transaction neither drops nor replaces it. */
static bool
bound(void)
{
	return state.current && !expired(state.current) &&
	       (token_seen || IsTransactionBlock() || IsSubTransaction());
}

static void
refuse_change(const char *what)
{
	ereport(
	    ERROR,
	    (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("cannot %s within a transaction", what),
	     errdetail("The transaction acts as \"%s\" to its end.", state.current->principal.subject),
	     errhint("End the transaction first.")));
}

static Identity *
make_identity(const GaClaims *claims, const uint8 *hash)
{
	MemoryContext context =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch identity", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Identity *identity = palloc0(sizeof(Identity));
	int i;

	identity->context = context;
	identity->session_user = GetSessionUserId();
	memcpy(identity->token_hash, hash, GA_HASH_BYTES);
	identity->principal.kind = GA_TOKEN;
	identity->principal.id = ga_new_principal_id();
	identity->principal.subject = pstrdup(claims->subject);
	identity->principal.tenant = pstrdup(claims->tenant);
	identity->principal.token_id = claims->token_id ? pstrdup(claims->token_id) : NULL;
	identity->principal.expires_at = claims->expires_at;
	identity->principal.nroles = claims->nroles;
	identity->principal.roles = palloc0(sizeof(char *) * (claims->nroles + 1));
	for (i = 0; i < claims->nroles; i++)
		identity->principal.roles[i] = pstrdup(claims->roles[i]);
	MemoryContextSwitchTo(old);
	identity->next = made;
	made = identity;
	return identity;
}

/* Roles of a principal: those named, and those granted to its subject. */
static Datum
all_roles(const GaPrincipal *who)
{
	static GaStmt find =
	    GA_READ("SELECT COALESCE(pg_catalog.array_agg(DISTINCT r.role ORDER BY r.role), '{}') "
	            "FROM (SELECT pg_catalog.unnest($1) AS role UNION SELECT g.role::pg_catalog.text "
	            "FROM goldenarch.role_grants g WHERE g.subject OPERATOR(pg_catalog.=) $2 "
	            "AND g.tenant OPERATOR(pg_catalog.=) $3 AND $4) r",
	            TEXTARRAYOID, TEXTOID, TEXTOID, BOOLOID);
	GaCall call;
	GaRows rows;
	bool isnull;
	Datum roles;

	ga_enter_as(&call, who);
	rows = ga_query(&find, ga_text_array(who->roles, who->nroles), ga_text(who->subject),
	                ga_text(who->tenant), ga_bool(who->kind != GA_ANONYMOUS));
	roles = ga_row_datum(&rows, 0, 1, TEXTARRAYOID, &isnull);
	ga_leave(&call);
	return roles;
}

static Datum
return_principal(FunctionCallInfo fcinfo, const GaPrincipal *who)
{
	Datum values[5];
	bool nulls[5] = {false};

	values[0] = CStringGetTextDatum(who->subject);
	nulls[1] = who->tenant[0] == '\0';
	values[1] = CStringGetTextDatum(who->tenant);
	values[2] = all_roles(who);
	nulls[3] = who->token_id == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(who->token_id);
	nulls[4] = who->expires_at == DT_NOEND;
	values[4] = TimestampTzGetDatum(who->expires_at);
	return ga_return_record(fcinfo, values, nulls, 5);
}

static void
deny_token(const GaClaims *claims, const char *problem)
{
	GaDenial denial = {.sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	                   .action = "authenticate",
	                   .resource_type = "token",
	                   .resource_id = claims->kid ? claims->kid : "-",
	                   .message = "token rejected",
	                   .hint = "The audit log has the reason."};

	denial.because = psprintf("The token %s.", problem);
	ga_count(GA_COUNT_AUTH_FAILED);
	ga_deny(&denial);
}

GA_FUNCTION(ga_authenticate);
Datum
ga_authenticate(PG_FUNCTION_ARGS)
{
	char *token = ga_arg_text(fcinfo, 0, "token");
	bool whole_session = ga_arg_bool(fcinfo, 1, "whole_session");
	GaBytes piece = {token, strlen(token)};
	uint8 hash[GA_HASH_BYTES];
	GaClaims claims;
	const char *problem;

	ga_hide_secret(token);
	refuse_foreign_code("authenticate");
	if (whole_session && !ga_guc_allow_session_identity)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("an identity for the whole session is not allowed here"),
		         errhint("Authenticate in each transaction, or have a superuser turn on "
		                 "goldenarch.allow_session_identity where no pool shares sessions.")));
	if (!ga_sha256(&piece, 1, hash))
		elog(ERROR, "could not compute SHA-256");
	if (bound())
	{
		/* (authenticate(...)).* runs once a column */
		if (memcmp(hash, state.current->token_hash, sizeof(hash)) == 0 &&
		    whole_session == (state.remains == state.current))
			return return_principal(fcinfo, ga_principal());
		refuse_change("replace an identity");
	}
	problem = ga_jwt_verify(token, &claims);
	if (!problem && !claims.subject)
		problem = "names no subject (sub)";
	else if (!problem && strcmp(claims.subject, "anonymous") == 0)
		problem = "names nobody (sub)";
	if (problem)
		deny_token(&claims, problem);
	save_state();
	state.current = make_identity(&claims, hash);
	if (whole_session)
		state.remains = state.current;
	return return_principal(fcinfo, ga_principal());
}

GA_FUNCTION(ga_logout);
Datum
ga_logout(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	refuse_foreign_code("log out");
	if (bound())
		refuse_change("log out");
	if (state.current)
	{
		save_state();
		state.current = state.remains = NULL;
	}
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_whoami);
Datum
ga_whoami(PG_FUNCTION_ARGS)
{
	return return_principal(fcinfo, ga_principal());
}
