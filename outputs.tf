output "bucket_name" {
  description = "Name of the bucket that holds configuration, landed rows, models and results."
  value       = module.storage.bucket_name
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket; uploading another one starts the pipeline."
  value       = module.pipeline.configuration_key
}

output "table_name" {
  description = "Name of the table of status, intervals and groups."
  value       = module.storage.table_name
}

output "glue_database_name" {
  description = "Glue database with the tables `scores`, `anomalies` and `contributions`."
  value       = module.storage.glue_database_name
}

output "alerts_topic_arn" {
  description = "ARN of the topic that gets the alerts that name no target of their own."
  value       = module.alerts.alerts_topic_arn
}

output "operations_topic_arn" {
  description = "ARN of the topic that failures and alarms go to."
  value       = module.alerts.operations_topic_arn
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue that takes events which could not be delivered."
  value       = module.alerts.dead_letter_queue_arn
}

output "dead_letter_queue_url" {
  description = "URL of the queue that takes events which could not be delivered."
  value       = module.alerts.dead_letter_queue_url
}

output "role_arns" {
  description = "ARN of each role: `function_<key>`, `machine_<key>` and `schedule`."
  value = merge(
    { for key, arn in module.iam.function_role_arns : "function_${key}" => arn },
    { for key, arn in module.iam.machine_role_arns : "machine_${key}" => arn },
    { schedule = module.iam.schedule_role_arn },
  )
}

output "unload_role_arn" {
  description = "What UNLOAD names as its role: an ARN, a chain of ARNs, or `default`."
  value       = module.iam.unload_role_arn
}

output "function_names" {
  description = "Name of each Lambda function, by function key."
  value       = module.functions.function_names
}

output "statement_arn" {
  description = "ARN of the state machine that runs one statement in the warehouse."
  value       = module.pipeline.statement_arn
}

output "pipeline_arn" {
  description = "ARN of the state machine that checks the query, loads the history, trains and activates."
  value       = module.pipeline.pipeline_arn
}

output "crawl_arn" {
  description = "ARN of the state machine that handles the intervals that are due."
  value       = module.crawler.crawl_arn
}

output "schedule_name" {
  description = "Name of the schedule that starts the crawl machine."
  value       = module.crawler.schedule_name
}

output "alarm_names" {
  description = "Name of each alarm, by what it watches."
  value       = module.monitoring.alarm_names
}

output "params_json_ignored" {
  description = "Keys of `params_json` that no longer mean anything, each with the reason."
  value       = local.params_ignored
}
