output "bucket_name" {
  description = "Name of the bucket that holds configuration, unloaded rows, models and results."
  value       = module.detector.bucket_name
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket. Uploading a new document starts the pipeline."
  value       = module.detector.configuration_key
}

output "table_name" {
  description = "Name of the DynamoDB table that holds detector status, intervals, groups and the outbox."
  value       = module.detector.table_name
}

output "glue_database_name" {
  description = "Name of the Glue database of the results: tables `scores`, `anomalies` and `contributions`."
  value       = module.detector.glue_database_name
}

output "alerts_topic_arn" {
  description = "ARN of the SNS topic that receives alerts without targets of their own."
  value       = module.detector.alerts_topic_arn
}

output "operations_topic_arn" {
  description = "ARN of the SNS topic that receives failures and alarms."
  value       = module.detector.operations_topic_arn
}

output "dead_letter_queue_arn" {
  description = "ARN of the SQS queue that keeps events that could not be delivered."
  value       = module.detector.dead_letter_queue_arn
}

output "dead_letter_queue_url" {
  description = "URL of the SQS queue that keeps events that could not be delivered."
  value       = module.detector.dead_letter_queue_url
}

output "role_arns" {
  description = "ARN of each IAM role: `function_<key>`, `machine_<key>`, `schedule`, and `unload` if the module created it."
  value       = module.detector.role_arns
}

output "unload_role_arn" {
  description = "Value of `IAM_ROLE` in UNLOAD: an ARN, a role chain, or `default`."
  value       = module.detector.unload_role_arn
}

output "function_names" {
  description = "Name of each Lambda function, by function key."
  value       = module.detector.function_names
}

output "statement_arn" {
  description = "ARN of the state machine that runs one SQL statement."
  value       = module.detector.statement_arn
}

output "pipeline_arn" {
  description = "ARN of the state machine that checks the query, loads the history, trains and activates the detector."
  value       = module.detector.pipeline_arn
}

output "crawl_arn" {
  description = "ARN of the state machine that crawls due intervals."
  value       = module.detector.crawl_arn
}

output "schedule_name" {
  description = "Name of the EventBridge schedule that starts the crawl."
  value       = module.detector.schedule_name
}

output "alarm_names" {
  description = "Name of each CloudWatch alarm, by alarm key."
  value       = module.detector.alarm_names
}
