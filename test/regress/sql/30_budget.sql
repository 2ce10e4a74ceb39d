-- SPDX-License-Identifier: PostgreSQL
-- Budgets: hierarchy, replay, settlement, expiry, periods; the ledger as the truth.
\set SHOW_CONTEXT never
SELECT goldenarch.set_budget('acme', 1000);
SELECT goldenarch.set_budget('acme/chat', 400, 'month', 'Europe/Berlin');

-- A grant charges every ancestor; a replay answers the same and charges nothing.
SELECT request_id, approved, state, reason, allocated_tokens, available, replayed
FROM goldenarch.request_tokens('acme/chat', 'r1', 300, 'summary', 'm-large');
SELECT request_id, approved, state, reason, allocated_tokens, available, replayed
FROM goldenarch.request_tokens('acme/chat', 'r1', 300, 'summary', 'm-large');
SELECT budget, tenant, period, total_limit, current_usage, reserved, available FROM goldenarch.budget_limits ORDER BY budget;
-- The same id with anything else is an error.
SELECT goldenarch.request_tokens('acme/chat', 'r1', 301, 'summary', 'm-large');
SELECT goldenarch.request_tokens('acme/chat', 'r1', 300, 'summary');
SELECT goldenarch.request_tokens('acme', 'r1', 300, 'summary', 'm-large');
SELECT goldenarch.request_tokens('acme/chat', 'r1', 300, 'summary', 'm-large', ttl => '16 minutes');
SELECT goldenarch.charge_tokens('acme/chat', 'r1', 300, 'summary', 'm-large');
-- All or nothing: 101 do not fit below; nothing is charged above; a refusal is not remembered.
SELECT approved, state, reason, allocated_tokens, available, replayed FROM goldenarch.request_tokens('acme/chat', 'r2', 101);
SELECT approved, state, reason, allocated_tokens, available, replayed FROM goldenarch.request_tokens('acme/chat', 'r2', 100);
SELECT approved, reason, available FROM goldenarch.request_tokens('acme', 'r3', 601);
SELECT approved, reason, available FROM goldenarch.request_tokens('acme', 'r3', 600);
SELECT budget, current_usage, reserved, available FROM goldenarch.budget_limits ORDER BY budget;
-- What fits below does not fit above.
SELECT goldenarch.set_budget('acme/other', 500);
SELECT approved, reason, available FROM goldenarch.request_tokens('acme/other', 'r4', 1);
\set VERBOSITY sqlstate
SELECT goldenarch.require_tokens('acme', 'r4', 1);
\set VERBOSITY default
SELECT goldenarch.require_tokens('acme', 'r4', 1);

-- Settle with less, exactly, more; once each.
SELECT request_id, approved, state, reason, allocated_tokens, available, replayed FROM goldenarch.commit_usage('r1', 120);
SELECT request_id, approved, state, reason, allocated_tokens, available, replayed FROM goldenarch.commit_usage('r1', 120, 'acme/chat');
SELECT goldenarch.commit_usage('r1', 121);
SELECT approved, state, allocated_tokens, replayed FROM goldenarch.request_tokens('acme/chat', 'r1', 300, 'summary', 'm-large');
SELECT approved, state, reason, allocated_tokens, available FROM goldenarch.commit_usage('r2', 250);
SELECT budget, current_usage, reserved, available FROM goldenarch.budget_limits ORDER BY budget;
SELECT approved, state, reason, allocated_tokens, available, replayed FROM goldenarch.release_reservation('r3');
SELECT approved, state, reason, replayed FROM goldenarch.release_reservation('r3');
SELECT approved, state, reason, allocated_tokens FROM goldenarch.commit_usage('r3', 5);
SELECT approved, state, reason, allocated_tokens, replayed FROM goldenarch.request_tokens('acme', 'r3', 600);
SELECT approved, state, reason, allocated_tokens FROM goldenarch.release_reservation('r1');
SELECT approved, state, allocated_tokens, replayed FROM goldenarch.charge_tokens('acme', 'c1', 30);
SELECT approved, state, allocated_tokens, replayed FROM goldenarch.charge_tokens('acme', 'c1', 30);
SELECT approved, state, reason, replayed FROM goldenarch.commit_usage('c1', 30);
-- An overrun may take a budget below zero; the reservation never becomes negative.
SELECT budget, current_usage, reserved, available FROM goldenarch.budget_limits ORDER BY budget;
SELECT budget, request_id, phase, type, amount, held, used, overrun, late, array_length(account_ids, 1) AS levels
FROM goldenarch.budget_transactions ORDER BY id;

-- In a transaction: a rollback takes all of it back, a savepoint its part.
BEGIN;
SELECT approved FROM goldenarch.request_tokens('acme', 't1', 10);
SAVEPOINT s;
SELECT approved FROM goldenarch.request_tokens('acme', 't2', 10);
ROLLBACK TO s;
SELECT approved, replayed FROM goldenarch.request_tokens('acme', 't2', 20);
COMMIT;
BEGIN;
SELECT approved FROM goldenarch.request_tokens('acme', 't3', 10);
ROLLBACK;
SELECT current_usage, reserved, available FROM goldenarch.budget_limits WHERE budget = 'acme';
BEGIN;
SELECT approved FROM goldenarch.request_tokens('acme', 't3', 10);
PREPARE TRANSACTION 'budget';

-- A batch: array order, each on its own.
SELECT request_id, approved, state, reason, allocated_tokens, replayed
FROM goldenarch.request_tokens_batch('acme', '{b1,b2,t1,b1}', '{100,100000,10,100}');

-- What time does. charge: the tokens stay used. Judged when read, before anything is booked.
SELECT goldenarch.set_budget('beta', 100, 'none');
SELECT goldenarch.set_budget('gamma', 100, 'none', on_expiry => 'refund');
SELECT approved FROM goldenarch.request_tokens('beta', 'x1', 60, ttl => '1 minute');
SELECT approved FROM goldenarch.request_tokens('gamma', 'x1', 60, ttl => '1 minute');
SELECT approved FROM goldenarch.request_tokens('gamma', 'x2', 30, ttl => '1 hour');
SELECT goldenarch.commit_usage('x1', 1);
SET goldenarch.debug_clock_offset = '61 s';
SELECT budget, current_usage, reserved, available FROM goldenarch.budget_limits WHERE budget IN ('beta', 'gamma') ORDER BY budget;
SELECT approved, state, reason, allocated_tokens, replayed FROM goldenarch.request_tokens('beta', 'x1', 60, ttl => '1 minute');
SELECT approved, reason FROM goldenarch.request_tokens('beta', 'x2', 41);
SELECT approved, available FROM goldenarch.request_tokens('gamma', 'x3', 70);
SELECT job, affected FROM goldenarch.run_maintenance() WHERE job = 'budget_expiry';
SELECT budget, current_usage, reserved, available FROM goldenarch.budget_limits WHERE budget IN ('beta', 'gamma') ORDER BY budget;
-- A settlement after the expiry is booked, flagged, once; a refunded one may overrun the limit.
SELECT approved, state, reason, allocated_tokens, available, replayed FROM goldenarch.commit_usage('x1', 40, 'beta');
SELECT approved, state, reason, replayed FROM goldenarch.commit_usage('x1', 40, 'beta');
SELECT goldenarch.commit_usage('x1', 41, 'beta');
SELECT approved, state, reason, allocated_tokens, available FROM goldenarch.commit_usage('x1', 50, 'gamma');
SELECT approved, state, reason FROM goldenarch.release_reservation('x1', 'gamma');
SELECT budget, current_usage, reserved, available FROM goldenarch.budget_limits WHERE budget IN ('beta', 'gamma') ORDER BY budget;
SELECT budget, request_id, phase, type, amount, held, used, overrun, late
FROM goldenarch.budget_transactions WHERE tenant IN ('beta', 'gamma') ORDER BY id;
-- Settled after the ttl before anybody booked the expiry.
SET goldenarch.debug_clock_offset = '2 h';
SELECT approved, state, reason, allocated_tokens FROM goldenarch.commit_usage('x2', 30, 'gamma');
SELECT type, amount, held, used, late FROM goldenarch.budget_transactions WHERE tenant = 'gamma' AND request_id = 'x2' ORDER BY phase;
RESET goldenarch.debug_clock_offset;

-- Maintenance books what nobody asked for.
SELECT goldenarch.set_budget('epsilon', 100, 'none', on_expiry => 'refund'), goldenarch.set_budget('epsilon/safe', 50, 'none');
SELECT approved FROM goldenarch.request_tokens('epsilon', 'm1', 20, ttl => '1 minute');
SELECT approved FROM goldenarch.request_tokens('epsilon/safe', 'm2', 30, ttl => '1 minute');
SET goldenarch.debug_clock_offset = '61 s';
SELECT job, affected FROM goldenarch.run_maintenance() WHERE job = 'budget_expiry';
SELECT job, affected FROM goldenarch.run_maintenance() WHERE job = 'budget_expiry';
-- A refund needs every charged budget to say so: m2 stays charged.
SELECT budget, held, used FROM goldenarch.budget_accounts WHERE tenant = 'epsilon' ORDER BY budget;
RESET goldenarch.debug_clock_offset;

-- A request id is not forgotten: five minutes, an hour, the next day, the next period.
SELECT goldenarch.set_budget('delta', 100, 'minute');
SELECT approved FROM goldenarch.charge_tokens('delta', 'once', 60);
SET goldenarch.debug_clock_offset = '90 s';
SELECT approved, replayed FROM goldenarch.charge_tokens('delta', 'once', 60);
SELECT approved, available, replayed FROM goldenarch.charge_tokens('delta', 'next period', 100);
-- What is settled in a later period counts in the one that reserved it.
RESET goldenarch.debug_clock_offset;
SELECT goldenarch.set_budget('zeta', 100, 'minute');
SELECT approved FROM goldenarch.request_tokens('zeta', 'across', 20, ttl => '1 h');
SET goldenarch.debug_clock_offset = '200 s';
SELECT state FROM goldenarch.commit_usage('across', 35);
SELECT current_usage, reserved, available FROM goldenarch.budget_limits WHERE budget = 'zeta';
SELECT held, used, overrun, period_end - period_start AS period FROM goldenarch.budget_accounts WHERE budget = 'zeta';
SET goldenarch.debug_clock_offset = '301 s';
SELECT count(*) >= 3 AS jobs FROM goldenarch.run_maintenance();
SELECT approved, replayed FROM goldenarch.charge_tokens('delta', 'once', 60);
SET goldenarch.debug_clock_offset = '2 d';
SELECT approved, replayed FROM goldenarch.charge_tokens('delta', 'once', 60);
RESET goldenarch.debug_clock_offset;
SELECT count(*), sum(used) FROM goldenarch.budget_transactions WHERE tenant = 'delta' AND request_id = 'once';

-- A cut limit takes back nothing and refuses what follows; a new period opens a new account.
SELECT goldenarch.set_budget('delta', 10, 'none');
SELECT approved, reason, available FROM goldenarch.request_tokens('delta', 'd1', 11);
SELECT approved FROM goldenarch.request_tokens('delta', 'd1', 10);
SELECT goldenarch.set_budget('delta', 5, 'none');
SELECT approved, reason, available FROM goldenarch.request_tokens('delta', 'd2', 1);
SELECT approved, replayed FROM goldenarch.request_tokens('delta', 'd1', 10);

-- Unknown budgets: an error, or made by their first use where the operator says so.
SELECT goldenarch.request_tokens('acme/new', 'n1', 1);
SET goldenarch.default_token_limit = 50;
SELECT approved, available FROM goldenarch.request_tokens('acme/new', 'n1', 20);
SELECT approved, reason FROM goldenarch.request_tokens('omega', 'n1', 51);
RESET goldenarch.default_token_limit;
SELECT budget, period, total_limit FROM goldenarch.budget_limits WHERE budget IN ('acme/new', 'omega') ORDER BY budget;

-- Why it would be refused; who holds what.
SELECT jsonb_pretty((SELECT jsonb_agg(l - 'period_start' - 'period_end' - 'holders') FROM jsonb_array_elements(e->'levels') l))
FROM goldenarch.explain_budget('acme/chat') e;
SELECT e->>'available' AS available, jsonb_path_query_array(e, '$.levels[0].holders[*].request_id') AS holders
FROM goldenarch.explain_budget('acme') e;

-- The ledger is the truth, and drift is seen.
SELECT budget, ok, counter, ledger, detail FROM goldenarch.budget_verify();
SET session_replication_role = replica;
UPDATE goldenarch.budget_accounts SET used = used + 1 WHERE budget = 'acme/chat';
RESET session_replication_role;
SELECT budget, ok, counter - ledger AS drift FROM goldenarch.budget_verify() WHERE NOT ok;
UPDATE goldenarch.budget_accounts SET used = used - 1 WHERE budget = 'acme/chat';
SELECT bool_and(ok) FROM goldenarch.budget_verify();

-- Prices.
SELECT goldenarch.set_model_price('m-large', 2.5, 10);
SELECT goldenarch.model_cost('m-large', 1000, 200), goldenarch.model_cost('m-large', 0, 1);
SELECT goldenarch.model_cost('m-large', 1000000, 1000000) AS both_prices;
SELECT action, resource_id, outcome FROM goldenarch.audit_log WHERE resource_type IN ('budget', 'model') ORDER BY id;

-- Retention forgets a request only when every period it charged ended that long ago; the sums stay right.
SET goldenarch.debug_clock_offset = '390 d';
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'budget_retention';
SET goldenarch.debug_clock_offset = '500 d';
SELECT affected > 0 AS pruned FROM goldenarch.run_maintenance() WHERE job = 'budget_retention';
SELECT budget, count(*) FROM goldenarch.budget_transactions GROUP BY budget ORDER BY budget;
SELECT bool_and(ok) FROM goldenarch.budget_verify();
SELECT approved, replayed FROM goldenarch.charge_tokens('delta', 'once', 60);
RESET goldenarch.debug_clock_offset;
