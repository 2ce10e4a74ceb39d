/* SPDX-License-Identifier: PostgreSQL */
/*
 * Counters in shared memory: immediate, never rolled back, lock-free. Without preload they are not
 * kept. One line below is one metric; names follow OpenMetrics (counters end in _total).
 */
#ifndef GOLDENARCH_METRICS_H
#define GOLDENARCH_METRICS_H

#include "postgres.h"

#include "goldenarch/compat.h"

#define GA_COUNTERS(X)                                                                             \
	X(GA_COUNT_AUTH_FAILED, "goldenarch_authentication_failures_total", "Tokens refused")          \
	X(GA_COUNT_DENIED, "goldenarch_rbac_permission_denied_total",                                  \
	  "Calls refused for want of a permission")                                                    \
	X(GA_COUNT_DENIAL_LOST, "goldenarch_audit_unavailable_total",                                  \
	  "Denials that could not be recorded")                                                        \
	X(GA_COUNT_RATE_ALLOWED, "goldenarch_rate_limit_allowed_total", "Calls a rate limit let pass") \
	X(GA_COUNT_RATE_LIMITED, "goldenarch_rate_limit_refused_total", "Calls a rate limit refused")  \
	X(GA_COUNT_BREAKER_OPENED, "goldenarch_circuit_breaker_opened_total", "Circuits that opened")  \
	X(GA_COUNT_BREAKER_REFUSED, "goldenarch_circuit_breaker_refused_total",                        \
	  "Calls an open circuit refused")                                                             \
	X(GA_COUNT_BUDGET_APPROVED, "goldenarch_budget_approved_total", "Reservations approved")       \
	X(GA_COUNT_BUDGET_REFUSED, "goldenarch_budget_refused_total", "Reservations refused")          \
	X(GA_COUNT_BUDGET_REPLAYED, "goldenarch_idempotency_cache_hits_total",                         \
	  "Request ids answered again")                                                                \
	X(GA_COUNT_LLM_ACCEPTED, "goldenarch_llm_accepted_total", "Model answers accepted")            \
	X(GA_COUNT_LLM_REJECTED, "goldenarch_llm_validation_failures_total", "Model answers rejected") \
	X(GA_COUNT_PROMPTS_APPLIED, "goldenarch_prompts_applied_total", "Prompts that went live")      \
	X(GA_COUNT_PROMPTS_REFUSED, "goldenarch_prompts_refused_total", "Prompt proposals refused")    \
	X(GA_COUNT_APPROVALS_DECIDED, "goldenarch_approvals_decided_total",                            \
	  "Approval requests decided")                                                                 \
	X(GA_COUNT_GUARD_FAILURES, "goldenarch_guard_failures_total", "Guards that failed")            \
	X(GA_COUNT_REVIEWS_SETTLED, "goldenarch_peer_reviews_settled_total", "Peer reviews settled")   \
	X(GA_COUNT_PUBLISHED, "goldenarch_messages_published_total",                                   \
	  "Messages acknowledged by JetStream")                                                        \
	X(GA_COUNT_CONSUMED, "goldenarch_messages_consumed_total", "Messages handled")                 \
	X(GA_COUNT_HANDLER_FAILED, "goldenarch_handler_failures_total", "Handler calls that failed")   \
	X(GA_COUNT_DEAD_LETTERS, "goldenarch_dead_letters_total", "Messages dead-lettered")            \
	X(GA_COUNT_JOBS_SUBMITTED, "goldenarch_sandbox_jobs_submitted_total",                          \
	  "Sandbox jobs submitted")                                                                    \
	X(GA_COUNT_JOBS_FINISHED, "goldenarch_sandbox_jobs_finished_total", "Sandbox jobs finished")   \
	X(GA_COUNT_AUDIT_ROWS, "goldenarch_audit_rows_total", "Audit rows written")

typedef enum GaCounter
{
#define X(id, name, help) id,
	GA_COUNTERS(X)
#undef X
	    GA_COUNTER_COUNT
} GaCounter;

extern GA_EXPORT void ga_count(GaCounter counter);
extern GA_EXPORT void ga_count_n(GaCounter counter, uint64 n);
extern uint64 ga_counter_value(GaCounter counter);

/* Every metric as OpenMetrics text, palloc'd. Inside ga_enter as GA_SYSTEM. */
extern GA_EXPORT char *ga_metrics_text(void);

#endif
