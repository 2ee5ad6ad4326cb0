output "bucket_name" {
  description = "Name of the bucket that holds configuration, unloaded rows, models and results."
  value       = module.storage.bucket_name
}

output "bucket_arn" {
  description = "ARN of the bucket that holds configuration, unloaded rows, models and results."
  value       = module.storage.bucket_arn
}

output "package_bucket_name" {
  description = "Name of the bucket that holds the deployment package; null if `lambda.package` is given."
  value       = module.functions.package_bucket_name
}

output "package_bucket_arn" {
  description = "ARN of the bucket that holds the deployment package; null if `lambda.package` is given."
  value       = module.functions.package_bucket_arn
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket. Uploading a new document starts the pipeline."
  value       = module.pipeline.configuration_key
}

output "configuration_rule_arn" {
  description = "ARN of the EventBridge rule that matches uploads of the configuration document."
  value       = module.pipeline.configuration_rule_arn
}

output "configuration_rule_name" {
  description = "Name of the EventBridge rule that matches uploads of the configuration document."
  value       = module.pipeline.configuration_rule_name
}

output "table_name" {
  description = "Name of the DynamoDB table that holds detector status, intervals, groups and the outbox."
  value       = module.storage.table_name
}

output "table_arn" {
  description = "ARN of the DynamoDB table that holds detector status, intervals, groups and the outbox."
  value       = module.storage.table_arn
}

output "glue_database_name" {
  description = "Name of the Glue database of the results."
  value       = module.storage.glue_database_name
}

output "glue_database_arn" {
  description = "ARN of the Glue database of the results."
  value       = module.storage.glue_database_arn
}

output "glue_table_names" {
  description = "Name of each Glue table: `scores`, `anomalies`, `contributions` and `statements`."
  value       = module.storage.glue_table_names
}

output "glue_table_arns" {
  description = "ARN of each Glue table: `scores`, `anomalies`, `contributions` and `statements`."
  value       = module.storage.glue_table_arns
}

output "athena_query_ids" {
  description = "ID of each saved Athena query, by its name without the detector's."
  value       = module.storage.athena_query_ids
}

output "alerts_topic_arn" {
  description = "ARN of the SNS topic that receives alerts without targets of their own."
  value       = module.alerts.alerts_topic_arn
}

output "alerts_topic_name" {
  description = "Name of the SNS topic that receives alerts without targets of their own."
  value       = module.alerts.alerts_topic_name
}

output "operations_topic_arn" {
  description = "ARN of the SNS topic that receives failures and alarms."
  value       = module.alerts.operations_topic_arn
}

output "operations_topic_name" {
  description = "Name of the SNS topic that receives failures and alarms."
  value       = module.alerts.operations_topic_name
}

output "dead_letter_queue_arn" {
  description = "ARN of the SQS queue that keeps events that could not be delivered."
  value       = module.alerts.dead_letter_queue_arn
}

output "dead_letter_queue_name" {
  description = "Name of the SQS queue that keeps events that could not be delivered."
  value       = module.alerts.dead_letter_queue_name
}

output "dead_letter_queue_url" {
  description = "URL of the SQS queue that keeps events that could not be delivered."
  value       = module.alerts.dead_letter_queue_url
}

output "role_arns" {
  description = "ARN of each IAM role: `function_<key>`, `machine_<key>`, `schedule`, and `unload` if the module created it."
  value = merge(
    { for key, arn in module.iam.function_role_arns : "function_${key}" => arn },
    { for key, arn in module.iam.machine_role_arns : "machine_${key}" => arn },
    { schedule = module.iam.schedule_role_arn },
    var.redshift.unload_role.create ? { unload = module.iam.unload_role_attach_arn } : {},
  )
}

output "role_names" {
  description = "Name of each IAM role: `function_<key>`, `machine_<key>`, `schedule`, and `unload` if the module created it."
  value = merge(
    { for key, name in module.iam.function_role_names : "function_${key}" => name },
    { for key, name in module.iam.machine_role_names : "machine_${key}" => name },
    { schedule = module.iam.schedule_role_name },
    var.redshift.unload_role.create ? { unload = module.iam.unload_role_name } : {},
  )
}

output "unload_role_arn" {
  description = "Value of `IAM_ROLE` in UNLOAD: an ARN, a role chain, or `default`."
  value       = module.iam.unload_role_arn
}

output "function_arns" {
  description = "ARN of each Lambda function, by function key."
  value       = module.functions.function_arns
}

output "function_names" {
  description = "Name of each Lambda function, by function key."
  value       = module.functions.function_names
}

output "statement_arn" {
  description = "ARN of the state machine that runs one SQL statement."
  value       = module.pipeline.statement_arn
}

output "statement_name" {
  description = "Name of the state machine that runs one SQL statement."
  value       = module.pipeline.statement_name
}

output "statement_ended_rule_arn" {
  description = "ARN of the EventBridge rule that matches executions of the statement machine that ended without success."
  value       = module.pipeline.statement_ended_rule_arn
}

output "statement_ended_rule_name" {
  description = "Name of the EventBridge rule that matches executions of the statement machine that ended without success."
  value       = module.pipeline.statement_ended_rule_name
}

output "execution_ended_rule_arn" {
  description = "ARN of the EventBridge rule that matches executions of the pipeline and crawl machines that ended without success."
  value       = module.monitoring.execution_ended_rule_arn
}

output "execution_ended_rule_name" {
  description = "Name of the EventBridge rule that matches executions of the pipeline and crawl machines that ended without success."
  value       = module.monitoring.execution_ended_rule_name
}

output "pipeline_arn" {
  description = "ARN of the state machine that checks the query, loads the history, trains and activates the detector."
  value       = module.pipeline.pipeline_arn
}

output "pipeline_name" {
  description = "Name of the state machine that checks the query, loads the history, trains and activates the detector."
  value       = module.pipeline.pipeline_name
}

output "crawl_arn" {
  description = "ARN of the state machine that crawls due intervals."
  value       = module.crawler.crawl_arn
}

output "crawl_name" {
  description = "Name of the state machine that crawls due intervals."
  value       = module.crawler.crawl_name
}

output "schedule_arn" {
  description = "ARN of the EventBridge schedule that starts the crawl."
  value       = module.crawler.schedule_arn
}

output "schedule_name" {
  description = "Name of the EventBridge schedule that starts the crawl."
  value       = module.crawler.schedule_name
}

output "schedule_group_arn" {
  description = "ARN of the EventBridge schedule group."
  value       = module.crawler.schedule_group_arn
}

output "schedule_group_name" {
  description = "Name of the EventBridge schedule group."
  value       = module.crawler.schedule_group_name
}

output "log_group_arns" {
  description = "ARN of each CloudWatch log group: `function_<key>` and `machine_<key>`."
  value = merge(
    { for key, arn in module.functions.log_group_arns : "function_${key}" => arn },
    { for key, arn in module.pipeline.log_group_arns : "machine_${key}" => arn },
    { machine_crawl = module.crawler.log_group_arn },
  )
}

output "log_group_names" {
  description = "Name of each CloudWatch log group: `function_<key>` and `machine_<key>`."
  value = merge(
    { for key, name in module.functions.log_group_names : "function_${key}" => name },
    { for key, name in module.pipeline.log_group_names : "machine_${key}" => name },
    { machine_crawl = module.crawler.log_group_name },
  )
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard; null without one."
  value       = module.monitoring.dashboard_name
}

output "dashboard_arn" {
  description = "ARN of the CloudWatch dashboard; null without one."
  value       = module.monitoring.dashboard_arn
}

output "alarm_arns" {
  description = "ARN of each CloudWatch alarm, by alarm key."
  value       = module.monitoring.alarm_arns
}

output "alarm_names" {
  description = "Name of each CloudWatch alarm, by alarm key."
  value       = module.monitoring.alarm_names
}

output "unload_role_policy_json" {
  description = "Policy that the UNLOAD role needs, as JSON. An existing role (`redshift.unload_role.arn`) needs it before the first UNLOAD; in a role chain, the last role. For a role of another account, the key policy of `encryption.kms_key_arn` must allow the role as well."
  value       = module.iam.unload_role_policy
}

output "warehouse_access_policy_json" {
  description = "Policy that `redshift.role_arn` needs to run statements in the warehouse, as JSON. Without `redshift.role_arn`, the function's own role has it."
  value       = module.iam.warehouse_access_policy
}

output "sign_in_sql" {
  description = "SQL statements to run once as a database administrator before apply, if the functions sign in with their IAM role; replace `<schema>` with each schema that the query reads. Null with `secret_arn` or `db_user`."
  value = module.iam.sign_in_user == null ? null : join("\n", [
    "CREATE USER \"${module.iam.sign_in_user}\" PASSWORD DISABLE;",
    "GRANT USAGE ON SCHEMA <schema> TO \"${module.iam.sign_in_user}\";",
    "GRANT SELECT ON ALL TABLES IN SCHEMA <schema> TO \"${module.iam.sign_in_user}\";",
  ])
}
