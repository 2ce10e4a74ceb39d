-- SPDX-License-Identifier: PostgreSQL
-- Budgets. The ledger budget_transactions is the truth; accounts and holds are derived from it and
-- change in the same transaction. No key begins with the tenant: the row policy gives every statement
-- a range of tenants, and a plan made while a table is empty would scan all of a tenant by it.

CREATE TYPE goldenarch.budget_decision AS (
    request_id       text,
    approved         boolean,
    state            text,
    reason           text,
    allocated_tokens bigint,
    available        bigint,
    replayed         boolean,
    decided_at       timestamptz
);
COMMENT ON TYPE goldenarch.budget_decision IS
'Answer of the budget functions. state: held, settled, released, expired or refused; approved only while held or settled; available: the least that is left at any level of the path.';

CREATE TABLE goldenarch.budgets (
    tenant      text COLLATE "C" NOT NULL CHECK (tenant <> ''),
    budget      text COLLATE "C" NOT NULL,
    token_limit bigint NOT NULL CHECK (token_limit BETWEEN 0 AND 1000000000000000),
    period      text NOT NULL CHECK (period IN ('none', 'minute', 'hour', 'day', 'week', 'month')),
    timezone    text NOT NULL,
    on_expiry   text NOT NULL CHECK (on_expiry IN ('charge', 'refund')),
    changed_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (budget, tenant),
    CHECK (tenant = pg_catalog.split_part(budget, '/', 1))
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.budgets IS
'Budgets: a path whose first segment is the tenant, and its limit in tokens a period. Written by set_budget().';
CREATE TABLE goldenarch.budgets_rows PARTITION OF goldenarch.budgets DEFAULT;
ALTER TABLE goldenarch.budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.budgets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.budgets
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('budget.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('budget.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.budgets_rows', '');

CREATE SEQUENCE goldenarch.budget_account_id AS bigint;
COMMENT ON SEQUENCE goldenarch.budget_account_id IS 'Ids of budget accounts; never used again.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.budget_account_id', '');

CREATE TABLE goldenarch.budget_accounts (
    tenant       text COLLATE "C" NOT NULL,
    id           bigint NOT NULL,
    budget       text COLLATE "C" NOT NULL,
    period       text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end   timestamptz NOT NULL,
    held         bigint NOT NULL DEFAULT 0,
    used         bigint NOT NULL DEFAULT 0,
    overrun      bigint NOT NULL DEFAULT 0,
    pruned       bigint NOT NULL DEFAULT 0,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (id, tenant),
    UNIQUE (budget, period, period_start, tenant)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.budget_accounts IS
'One budget in one period: the period is part of the key and never reset. held, used: sums over the ledger rows that name the account; overrun: the part of used that no hold covered; pruned: the part of used whose ledger rows retention removed.';
CREATE TABLE goldenarch.budget_accounts_rows PARTITION OF goldenarch.budget_accounts DEFAULT WITH (fillfactor = 50);
CREATE INDEX budget_accounts_end ON goldenarch.budget_accounts_rows (period_end);
ALTER TABLE goldenarch.budget_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.budget_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.budget_accounts
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('budget.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('budget.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.budget_accounts_rows', '');

CREATE SEQUENCE goldenarch.budget_transaction_id AS bigint;
COMMENT ON SEQUENCE goldenarch.budget_transaction_id IS 'Ids of ledger rows; gaps are rollbacks.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.budget_transaction_id', '');

CREATE TABLE goldenarch.budget_transactions (
    budget      text COLLATE "C" NOT NULL,
    tenant      text COLLATE "C" NOT NULL,
    request_id  text COLLATE "C" NOT NULL,
    amount      bigint NOT NULL CHECK (amount >= 0),
    type        text NOT NULL,
    at          timestamptz NOT NULL,
    id          bigint NOT NULL,
    phase       smallint NOT NULL,
    held        bigint NOT NULL,
    used        bigint NOT NULL,
    overrun     bigint NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    late        boolean NOT NULL DEFAULT false,
    account_ids bigint[] NOT NULL,
    fingerprint bigint,
    available   bigint,
    expires_at  timestamptz,
    on_expiry   text,
    purpose     text,
    model       text,
    task_id     uuid,
    subject     text NOT NULL,
    UNIQUE (request_id, tenant, phase),
    CHECK (CASE phase WHEN 0 THEN type IN ('reserve', 'charge')
                      WHEN 1 THEN type IN ('commit', 'release', 'expire')
                      WHEN 2 THEN type = 'late' ELSE false END)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.budget_transactions IS
'The ledger of budgets, append-only. phase 0: reserve or charge; 1: the one terminal event of a reserve (commit, release or expire); 2: late, a settlement that came after the expiry. amount: tokens of the event; held, used: what it adds to each account of account_ids, which are frozen when the request is approved. For every account: reserved = sum(held), usage = sum(used). Retention alone removes rows, of closed periods.';
CREATE TABLE goldenarch.budget_transactions_rows PARTITION OF goldenarch.budget_transactions DEFAULT;
CREATE INDEX budget_transactions_at ON goldenarch.budget_transactions_rows USING brin (at);
ALTER TABLE goldenarch.budget_transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.budget_transactions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.budget_transactions
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('budget.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('budget.view')));
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.budget_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.budget_append_only();
ALTER TABLE goldenarch.budget_transactions ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.budget_transactions_rows
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.budget_append_only();
ALTER TABLE goldenarch.budget_transactions_rows ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON goldenarch.budget_transactions_rows
    FOR EACH ROW EXECUTE FUNCTION goldenarch.budget_append_only();
ALTER TABLE goldenarch.budget_transactions_rows ENABLE ALWAYS TRIGGER append_only_row;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.budget_transactions_rows', '');

CREATE TABLE goldenarch.budget_holds (
    tenant      text COLLATE "C" NOT NULL,
    request_id  text COLLATE "C" NOT NULL,
    budget      text COLLATE "C" NOT NULL,
    tokens      bigint NOT NULL CHECK (tokens > 0),
    expires_at  timestamptz NOT NULL,
    on_expiry   text NOT NULL,
    account_ids bigint[] NOT NULL,
    PRIMARY KEY (expires_at, request_id, tenant)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.budget_holds IS
'Reservations without a terminal event: what the ledger says is open, kept small and indexed.';
CREATE TABLE goldenarch.budget_holds_rows PARTITION OF goldenarch.budget_holds DEFAULT;
ALTER TABLE goldenarch.budget_holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.budget_holds FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.budget_holds
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('budget.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('budget.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.budget_holds_rows', '');

CREATE TABLE goldenarch.model_prices (
    model           text COLLATE "C" PRIMARY KEY CHECK (pg_catalog.octet_length(model) BETWEEN 1 AND 128),
    input_per_mtok  numeric NOT NULL CHECK (input_per_mtok >= 0 AND input_per_mtok <= 1000000000),
    output_per_mtok numeric NOT NULL CHECK (output_per_mtok >= 0 AND output_per_mtok <= 1000000000)
);
COMMENT ON TABLE goldenarch.model_prices IS
'Prices of models, in the currency of your choice for a million tokens. Written by set_model_price().';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.model_prices', '');
