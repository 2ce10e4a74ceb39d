-- SPDX-License-Identifier: PostgreSQL
-- The contract as the catalog has it: what applications and DBAs call, with arguments, defaults and results. A
-- difference here breaks callers. Names that the contract gives to parts yet to come are listed as absent.
\pset format unaligned
\pset tuples_only on
SET search_path = pg_catalog;
CREATE TEMP TABLE called (part integer, name text);
INSERT INTO called SELECT 1, regexp_split_to_table('authenticate logout whoami verify_jwt jws_verify issue_jwt add_jwt_key
  load_jwks retire_jwt_key revoke_token has_permission require_permission explain_permission create_role grant_role revoke_role
  map_role grant_access revoke_access repair_grants', E'\\s+');
INSERT INTO called SELECT 2, regexp_split_to_table('set_rate_limit rate_limit require_rate set_breaker breaker_allow
  require_breaker breaker_success breaker_failure breaker_reset breaker_reset_all with_breaker', E'\\s+');
INSERT INTO called SELECT 3, regexp_split_to_table('set_budget request_tokens require_tokens request_tokens_batch commit_usage
  release_reservation charge_tokens explain_budget budget_verify set_model_price model_cost', E'\\s+');
INSERT INTO called SELECT 4, regexp_split_to_table('register_schema jsonschema_is_valid json_matches_schema
  jsonb_matches_schema jsonschema_validation_errors validate_json validation_errors extract_json parse_llm try_parse_llm
  safe_parse_synthesis safe_parse_patterns safe_parse_consensus sanitize_llm_response sanitize_findings check_context encode_for
  scan_injection set_sql_policy check_sql run_sql validate_agent_name validate_task_id sanitize_metrics', E'\\s+');
INSERT INTO called SELECT 5, regexp_split_to_table('audit attach_audit detach_audit audit_seal audit_checkpoint
  audit_public_key audit_status audit_tile audit_entry audit_verify audit_inclusion_proof audit_consistency_proof
  redact_audit', E'\\s+');
INSERT INTO called SELECT 6, regexp_split_to_table('can_auto_update_prompt learning_decision propose_prompt
  approve_prompt_update reject_prompt_update active_prompt rollback_prompt get_pending_approvals_count set_approval_policy
  request_approval approve reject cancel_approval consume_approval', E'\\s+');
INSERT INTO called SELECT 7, regexp_split_to_table('create_task advance_task report_guard handle_guard_failure claim_task
  heartbeat_task complete_task fail_task open_review cast_vote explain_review explain_vote_impact explain_consensus
  create_escalation resolve_escalation', E'\\s+');
INSERT INTO called SELECT 8, regexp_split_to_table('publish publish_bytes subscribe unsubscribe dlq_retry dlq_retry_all
  dlq_resolve', E'\\s+');
INSERT INTO called SELECT 9, regexp_split_to_table('submit_job wait_job cancel_job set_runtime', E'\\s+');
INSERT INTO called SELECT 10, regexp_split_to_table('health prometheus_metrics autoscale_backlog start_workers
  schedule_maintenance run_maintenance', E'\\s+');

-- Functions: part, name(arguments), result; volatility and whether a null skips them.
SELECT c.part || ' ' || CASE WHEN p.oid IS NULL THEN c.name || ': absent' ELSE
         format('%s(%s) -> %s, %s%s', p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
           CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
           CASE WHEN p.proisstrict THEN ' strict' ELSE '' END) END
  FROM called c
  LEFT JOIN pg_proc p ON p.proname = c.name AND p.pronamespace = 'goldenarch'::regnamespace
 ORDER BY c.part, c.name COLLATE "C", p.pronargs;

-- Views and tables: columns in their order.
SELECT CASE WHEN r.oid IS NULL THEN c.name || ': absent' ELSE
         format('%s %s(%s)', CASE r.relkind WHEN 'v' THEN 'view' ELSE 'table' END, c.name,
           string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)) END
  FROM regexp_split_to_table('circuit_breakers budget_limits budget_transactions audit_log learning_governance governance_status
         learning_stats agent_prompts pending_approvals tasks agents agent_roles peer_review_sessions peer_votes escalations
         autofix_rules dlq_messages bridge_status sandbox_jobs sandbox_executors metrics slo_status', E'\\s+') c(name)
  LEFT JOIN pg_class r ON r.relname = c.name AND r.relnamespace = 'goldenarch'::regnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY c.name, r.oid, r.relkind
 ORDER BY c.name COLLATE "C";

-- Composite types.
SELECT format('type %s(%s)', t.typname,
         string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum))
  FROM pg_class r JOIN pg_type t ON t.oid = r.reltype JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
 WHERE r.relkind = 'c' AND r.relnamespace = 'goldenarch'::regnamespace
 GROUP BY t.typname
 ORDER BY t.typname COLLATE "C";

-- Every function, view, table and type has a comment; no function runs with another's rights.
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'goldenarch'::regnamespace AND (obj_description(p.oid, 'pg_proc') IS NULL OR p.prosecdef)
 ORDER BY 1;
SELECT r.oid::regclass FROM pg_class r
 WHERE r.relnamespace = 'goldenarch'::regnamespace AND r.relkind IN ('r', 'p', 'v', 'c') AND NOT r.relispartition
   AND coalesce(obj_description(r.oid, 'pg_class'), obj_description(r.reltype, 'pg_type')) IS NULL
 ORDER BY 1;
-- What has an effect runs in no parallel worker, and no null skips what a decision hangs on.
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'goldenarch'::regnamespace AND p.provolatile = 'v' AND p.proparallel <> 'u'
 ORDER BY 1;
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'goldenarch'::regnamespace AND p.proisstrict AND p.provolatile <> 'i'
 ORDER BY 1;
-- (f()).* runs f once a column: what has an effect and answers with columns says where to call it. Only readers stand here.
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
 WHERE p.pronamespace = 'goldenarch'::regnamespace AND p.provolatile = 'v' AND t.typtype IN ('c', 'p') AND t.typname NOT IN ('void', 'trigger')
   AND obj_description(p.oid, 'pg_proc') !~ 'in FROM'
 ORDER BY p.proname COLLATE "C";
