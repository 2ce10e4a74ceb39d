-- SPDX-License-Identifier: PostgreSQL
-- Settings of rate limits and circuit breakers. What they count is in shared memory.

CREATE TYPE goldenarch.rate_decision AS (allowed boolean, remaining integer, retry_after interval, reset_after interval);
COMMENT ON TYPE goldenarch.rate_decision IS
'Answer of rate_limit(): units left at once, time until this call would be allowed, time until the key is idle.';

CREATE TABLE goldenarch.rate_limits (
    name  text COLLATE "C" PRIMARY KEY CHECK (pg_catalog.octet_length(name) BETWEEN 1 AND 128),
    rate  text NOT NULL,
    burst integer NOT NULL CHECK (burst >= 0)
);
COMMENT ON TABLE goldenarch.rate_limits IS
'Named rate limits: rate as in ''30/minute''; burst in units, 0: as many as the rate''s number. Written by set_rate_limit().';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.rate_limits', '');

CREATE TABLE goldenarch.breaker_settings (
    name                text COLLATE "C" PRIMARY KEY CHECK (pg_catalog.octet_length(name) BETWEEN 1 AND 128),
    failure_threshold   integer NOT NULL CHECK (failure_threshold > 0),
    recovery_us         bigint NOT NULL CHECK (recovery_us > 0),
    half_open_max_calls integer NOT NULL CHECK (half_open_max_calls BETWEEN 1 AND 100),
    window_us           bigint NOT NULL CHECK (window_us > 0),
    failure_rate        double precision CHECK (failure_rate > 0 AND failure_rate <= 1),
    slow_us             bigint CHECK (slow_us > 0)
);
COMMENT ON TABLE goldenarch.breaker_settings IS
'Settings of circuit breakers, times in microseconds. Written by set_breaker().';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.breaker_settings', '');

CREATE TABLE goldenarch.breaker_states (
    name       text COLLATE "C" PRIMARY KEY,
    opened_at  timestamptz NOT NULL,
    open_until timestamptz NOT NULL
);
COMMENT ON TABLE goldenarch.breaker_states IS
'Circuits that are open, so that a restart of the server closes none. Written by maintenance; not dumped.';
