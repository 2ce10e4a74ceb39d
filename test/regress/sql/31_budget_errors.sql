-- SPDX-License-Identifier: PostgreSQL
-- Budgets: what is refused, tenants, and the guards of the ledger.
\set SHOW_CONTEXT never
CREATE ROLE budget_joe;
CREATE ROLE budget_eve;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO budget_joe, budget_eve;
GRANT USAGE ON SCHEMA goldenarch TO budget_joe, budget_eve;
GRANT SELECT ON goldenarch.budget_limits, goldenarch.budgets, goldenarch.budget_accounts, goldenarch.budget_holds,
    goldenarch.budget_transactions TO budget_joe, budget_eve;
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('acme', 'budget_joe', 'joe', '{operator}');
SELECT goldenarch.set_budget('acme', 1000, 'none'), goldenarch.set_budget('beta', 1000, 'none');
SELECT approved FROM goldenarch.request_tokens('beta', 'r1', 10);

-- Without a permission, nothing.
SET ROLE budget_eve;
SELECT goldenarch.request_tokens('acme', 'r1', 1);
SELECT goldenarch.require_tokens('acme', 'r1', 1);
SELECT goldenarch.request_tokens_batch('acme', '{r1}', '{1}');
SELECT goldenarch.charge_tokens('acme', 'r1', 1);
SELECT goldenarch.commit_usage('r1', 1);
SELECT goldenarch.release_reservation('r1');
SELECT goldenarch.explain_budget('acme');
SELECT goldenarch.budget_verify();
SELECT goldenarch.set_budget('acme', 1);
SELECT goldenarch.set_model_price('m', 1, 1);
SELECT goldenarch.model_cost('m', 1, 1);
SELECT count(*) FROM goldenarch.budget_limits;
SELECT count(*) FROM goldenarch.budget_transactions;
RESET ROLE;

-- A tenant's own rows alone; another's are as if they did not exist.
SET ROLE budget_joe;
SELECT approved FROM goldenarch.request_tokens('acme', 'mine', 1);
SELECT goldenarch.request_tokens('beta', 'r2', 1);
SELECT goldenarch.commit_usage('r1', 1);
SELECT goldenarch.commit_usage('r1', 1, 'beta');
SELECT goldenarch.release_reservation('r1', 'beta');
SELECT goldenarch.explain_budget('beta');
SELECT budget FROM goldenarch.budget_limits;
SELECT budget, ok FROM goldenarch.budget_verify();
SELECT count(*) FROM goldenarch.budget_transactions;
SELECT goldenarch.set_budget('acme', 1);
RESET ROLE;
-- The same id in two tenants: name the budget.
SELECT approved FROM goldenarch.request_tokens('acme', 'r1', 1);
SELECT goldenarch.commit_usage('r1', 1);
SELECT state FROM goldenarch.commit_usage('r1', 1, 'beta');
SELECT goldenarch.commit_usage('r1', 1, 'acme/none');

-- Bad arguments.
SELECT goldenarch.request_tokens(NULL, 'e', 1);
SELECT goldenarch.request_tokens('', 'e', 1);
SELECT goldenarch.request_tokens('/acme', 'e', 1);
SELECT goldenarch.request_tokens('acme/', 'e', 1);
SELECT goldenarch.request_tokens('a b', 'e', 1);
SELECT goldenarch.request_tokens('akmé', 'e', 1);
SELECT goldenarch.request_tokens(repeat('a', 64), 'e', 1);
SELECT goldenarch.request_tokens('a/b/c/d/e/f/g/h/i', 'e', 1);
SELECT goldenarch.request_tokens(repeat('a/', 300), 'e', 1);
SELECT goldenarch.request_tokens('acme', NULL, 1);
SELECT goldenarch.request_tokens('acme', '', 1);
SELECT goldenarch.request_tokens('acme', repeat('x', 201), 1);
SELECT goldenarch.request_tokens('acme', 'e', NULL);
SELECT goldenarch.request_tokens('acme', 'e', 0);
SELECT goldenarch.request_tokens('acme', 'e', -5);
SELECT goldenarch.request_tokens('acme', 'e', 1000000000000001);
SELECT goldenarch.request_tokens('acme', 'e', 1, repeat('x', 2001));
SELECT goldenarch.request_tokens('acme', 'e', 1, model => repeat('x', 129));
SELECT goldenarch.request_tokens('acme', 'e', 1, ttl => '0');
SELECT goldenarch.request_tokens('acme', 'e', 1, ttl => '1 month');
SELECT goldenarch.request_tokens('acme', 'e', 1, ttl => NULL);
SELECT goldenarch.require_tokens('acme', 'e', 0);
SELECT goldenarch.charge_tokens('acme', 'e', 0);
SELECT goldenarch.request_tokens_batch('acme', NULL, '{1}');
SELECT goldenarch.request_tokens_batch('acme', '{e}', NULL);
SELECT goldenarch.request_tokens_batch('acme', '{e,f}', '{1}');
SELECT goldenarch.request_tokens_batch('acme', '{e}', '{0}');
SELECT goldenarch.request_tokens_batch('acme', '{e}', '{NULL}');
SELECT goldenarch.request_tokens_batch('acme', '{NULL}', '{1}');
SELECT goldenarch.commit_usage(NULL, 1);
SELECT goldenarch.commit_usage('nobody knows it', 1);
SELECT goldenarch.commit_usage('mine', -1);
SELECT goldenarch.commit_usage('mine', NULL);
SELECT goldenarch.commit_usage('mine', 1, '');
SELECT goldenarch.release_reservation('');
SELECT goldenarch.release_reservation('nobody knows it');
SELECT goldenarch.set_budget('acme', -1);
SELECT goldenarch.set_budget('acme', NULL);
SELECT goldenarch.set_budget('acme', 1, 'fortnight');
SELECT goldenarch.set_budget('acme', 1, NULL);
SELECT goldenarch.set_budget('acme', 1, 'day', 'Mars/Olympus');
SELECT goldenarch.set_budget('acme', 1, 'day', 'UTC', 'forget');
SELECT goldenarch.explain_budget('nobody');
SELECT goldenarch.explain_budget(NULL);
SELECT goldenarch.set_model_price(NULL, 1, 1);
SELECT goldenarch.set_model_price('m', -1, 1);
SELECT goldenarch.set_model_price('m', 1, 'NaN');
SELECT goldenarch.set_model_price('m', 1, NULL);
SELECT goldenarch.model_cost('unknown', 1, 1);
SELECT goldenarch.model_cost('m', -1, 1);
SELECT goldenarch.model_cost('m', 1, NULL);

-- Append-only, whatever the session says of triggers.
UPDATE goldenarch.budget_transactions SET amount = 0;
DELETE FROM goldenarch.budget_transactions;
TRUNCATE goldenarch.budget_transactions;
SET session_replication_role = replica;
DELETE FROM goldenarch.budget_transactions_rows;
UPDATE goldenarch.budget_transactions_rows SET amount = 0;
TRUNCATE goldenarch.budget_transactions_rows;
RESET session_replication_role;
SELECT goldenarch.budget_append_only();
-- A second reserve of the same id cannot be written, by whomever.
INSERT INTO goldenarch.budget_transactions SELECT (t).* FROM goldenarch.budget_transactions t WHERE request_id = 'mine';

-- Read-only transactions.
BEGIN READ ONLY;
SELECT goldenarch.request_tokens('acme', 'ro', 1);
ROLLBACK;

DELETE FROM goldenarch.role_mappings WHERE pg_role = 'budget_joe';
DROP OWNED BY budget_joe, budget_eve;
DROP ROLE budget_joe, budget_eve;
