-- SPDX-License-Identifier: PostgreSQL
-- Budgets: transactional (they bind when you commit; commit before you call the model), idempotent.

CREATE OR REPLACE FUNCTION goldenarch.set_budget(budget text, token_limit bigint, period text DEFAULT 'month',
    timezone text DEFAULT 'UTC', on_expiry text DEFAULT 'charge') RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_budget';
COMMENT ON FUNCTION goldenarch.set_budget(text, bigint, text, text, text) IS
'Makes a budget or changes it. budget: a path of up to 8 segments, ''acme'' or ''acme/chatbot'', whose first is the tenant; token_limit: tokens a period, 0 to 10^15; period: none, minute, hour, day, week (from Monday) or month, in timezone; on_expiry: what an unsettled reservation becomes at its ttl, charge (safe: the call may still be running) or refund. A lower limit takes back nothing that is held; a new period or timezone opens a new account for new requests. Audited. Errors: 22023, 42501 foreign tenant. Permission: budget.configure.';

CREATE OR REPLACE FUNCTION goldenarch.request_tokens(budget text, request_id text, tokens bigint, purpose text DEFAULT NULL,
    model text DEFAULT NULL, task_id uuid DEFAULT NULL, ttl interval DEFAULT '15 minutes') RETURNS goldenarch.budget_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_request_tokens';
COMMENT ON FUNCTION goldenarch.request_tokens(text, text, bigint, text, text, uuid, interval) IS
'Reserves tokens in the budget and in every ancestor that has one, all or nothing. It binds when you commit. The same request_id (unique within the tenant) and arguments give the first answer with replayed = true, and charge nothing; other arguments raise ZG004. A refusal is not remembered: the id may ask again. At ttl the reservation becomes a charge, unless every charged budget says refund. Call it in FROM. Errors: 22023, 42704 unknown budget (unless goldenarch.default_token_limit creates it), ZG004; 40001 where the snapshot of REPEATABLE READ or SERIALIZABLE cannot see what it would decide by. Permission: budget.use.';

CREATE OR REPLACE FUNCTION goldenarch.require_tokens(budget text, request_id text, tokens bigint, purpose text DEFAULT NULL,
    model text DEFAULT NULL, task_id uuid DEFAULT NULL, ttl interval DEFAULT '15 minutes') RETURNS goldenarch.budget_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_require_tokens';
COMMENT ON FUNCTION goldenarch.require_tokens(text, text, bigint, text, text, uuid, interval) IS
'As request_tokens(), but raises ZG002 when it is not approved; DETAIL names the path. Call it in FROM. Permission: budget.use.';

CREATE OR REPLACE FUNCTION goldenarch.request_tokens_batch(budget text, request_ids text[], tokens bigint[])
RETURNS SETOF goldenarch.budget_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_request_tokens_batch';
COMMENT ON FUNCTION goldenarch.request_tokens_batch(text, text[], bigint[]) IS
'As request_tokens() for each pair, in array order, each decided on its own, in one transaction; up to 10000. Errors: as request_tokens(); 22023 when the arrays differ in length. Call it in FROM. Permission: budget.use.';

CREATE OR REPLACE FUNCTION goldenarch.commit_usage(request_id text, actual_tokens bigint, budget text DEFAULT NULL)
RETURNS goldenarch.budget_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_commit_usage';
COMMENT ON FUNCTION goldenarch.commit_usage(text, bigint, text) IS
'Settles a reservation with what was used. Less than reserved frees the rest; more is booked and counted as overrun; after the expiry it is booked as late and the state stays expired. Once: the same number again answers with replayed = true, another raises ZG004. A released reservation stays released (approved = false). Name the budget where several tenants are visible. Errors: 22023, 42704 unknown request id. Call it in FROM. Permission: budget.use.';

CREATE OR REPLACE FUNCTION goldenarch.release_reservation(request_id text, budget text DEFAULT NULL)
RETURNS goldenarch.budget_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_release_reservation';
COMMENT ON FUNCTION goldenarch.release_reservation(text, text) IS
'Gives back a reservation of which nothing was used. What is settled or expired stays so, and the answer says it. Errors: 22023, 42704 unknown request id. Call it in FROM. Permission: budget.use.';

CREATE OR REPLACE FUNCTION goldenarch.charge_tokens(budget text, request_id text, tokens bigint, purpose text DEFAULT NULL,
    model text DEFAULT NULL, task_id uuid DEFAULT NULL) RETURNS goldenarch.budget_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_charge_tokens';
COMMENT ON FUNCTION goldenarch.charge_tokens(text, text, bigint, text, text, uuid) IS
'Reserves and settles in one step, where the number is known. Otherwise as request_tokens(). Call it in FROM. Permission: budget.use.';

CREATE OR REPLACE FUNCTION goldenarch.explain_budget(budget text) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_explain_budget';
COMMENT ON FUNCTION goldenarch.explain_budget(text) IS
'Why a request would be refused: {"budget", "available", "levels": [{"budget", "limit", "period", "timezone", "on_expiry", "period_start", "period_end", "settled", "held", "overrun", "available", "holders": [{"request_id", "budget", "tokens", "purpose", "model", "subject", "expires_at", "on_expiry"}]}]}, the levels from the root down, the first 50 holders by expiry. Errors: 22023, 42704. Permission: budget.view.';

CREATE OR REPLACE FUNCTION goldenarch.budget_verify(OUT budget text, OUT ok boolean, OUT counter bigint,
    OUT ledger bigint, OUT detail text)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_budget_verify';
COMMENT ON FUNCTION goldenarch.budget_verify() IS
'Sums the whole ledger again and compares it with the accounts that decisions are made from: a row a budget, counter and ledger in tokens held and used over all its periods; detail names what differs. Reads every row of budget_transactions. Permission: budget.view.';

CREATE OR REPLACE FUNCTION goldenarch.set_model_price(model text, input_per_mtok numeric, output_per_mtok numeric)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_model_price';
COMMENT ON FUNCTION goldenarch.set_model_price(text, numeric, numeric) IS
'Sets the price of a model, for a million tokens in and out, in the currency of your choice: 0 to 10^9. Audited. Error: 22023. Permission: budget.configure.';

CREATE OR REPLACE FUNCTION goldenarch.model_cost(model text, input_tokens bigint, output_tokens bigint) RETURNS numeric
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_model_cost';
COMMENT ON FUNCTION goldenarch.model_cost(text, bigint, bigint) IS
'Price of that many tokens, exactly. Errors: 22023, 42704 model without a price. Permission: budget.use.';

CREATE OR REPLACE VIEW goldenarch.budget_limits WITH (security_invoker = true, security_barrier = true) AS
SELECT b.budget, b.tenant, b.period, p.period_start,
       b.token_limit AS total_limit,
       (COALESCE(a.used, 0) + x.charged)::bigint AS current_usage,
       (COALESCE(a.held, 0) - x.expired)::bigint AS reserved,
       (b.token_limit - COALESCE(a.used, 0) - x.charged - COALESCE(a.held, 0) + x.expired)::bigint AS available
FROM goldenarch.budgets b
CROSS JOIN (SELECT goldenarch.wall_clock() AS at) now
CROSS JOIN LATERAL (SELECT CASE WHEN b.period OPERATOR(pg_catalog.=) 'none' THEN '-infinity'::timestamptz
    ELSE pg_catalog.date_trunc(b.period, now.at, b.timezone) END AS period_start) p
LEFT JOIN goldenarch.budget_accounts a ON a.tenant OPERATOR(pg_catalog.=) b.tenant
    AND a.budget OPERATOR(pg_catalog.=) b.budget AND a.period OPERATOR(pg_catalog.=) b.period
    AND a.period_start OPERATOR(pg_catalog.=) p.period_start
CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.sum(h.tokens), 0) AS expired,
        COALESCE(pg_catalog.sum(h.tokens) FILTER (WHERE h.on_expiry OPERATOR(pg_catalog.=) 'charge'), 0) AS charged
    FROM goldenarch.budget_holds h WHERE h.tenant OPERATOR(pg_catalog.=) b.tenant
    AND h.expires_at OPERATOR(pg_catalog.<=) now.at AND a.id OPERATOR(pg_catalog.=) ANY (h.account_ids)) x
WHERE b.tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('budget.view'))
  AND b.tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('budget.view'));
COMMENT ON VIEW goldenarch.budget_limits IS
'Every budget in its running period, in tokens: available = total_limit - current_usage - reserved, negative after an overrun or a cut of the limit. A reservation past its ttl counts as what it becomes, whether maintenance has booked it yet or not. Needs budget.view.';
