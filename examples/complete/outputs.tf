output "bucket_name" {
  description = "Name of the bucket that holds configuration, landed rows, models and results."
  value       = module.detector.bucket_name
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket; uploading another one starts the pipeline."
  value       = module.detector.configuration_key
}

output "table_name" {
  description = "Name of the table of status, intervals and groups."
  value       = module.detector.table_name
}

output "glue_database_name" {
  description = "Glue database with the tables `scores`, `anomalies` and `contributions`."
  value       = module.detector.glue_database_name
}

output "alerts_topic_arn" {
  description = "ARN of the topic that gets the alerts that name no target of their own."
  value       = module.detector.alerts_topic_arn
}

output "operations_topic_arn" {
  description = "ARN of the topic that failures and alarms go to."
  value       = module.detector.operations_topic_arn
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue that takes events which could not be delivered."
  value       = module.detector.dead_letter_queue_arn
}

output "dead_letter_queue_url" {
  description = "URL of the queue that takes events which could not be delivered."
  value       = module.detector.dead_letter_queue_url
}

output "role_arns" {
  description = "ARN of each role: `function_<key>`, `machine_<key>` and `schedule`."
  value       = module.detector.role_arns
}

output "unload_role_arn" {
  description = "What UNLOAD names as its role: an ARN, a chain of ARNs, or `default`."
  value       = module.detector.unload_role_arn
}

output "function_names" {
  description = "Name of each Lambda function, by function key."
  value       = module.detector.function_names
}

output "statement_arn" {
  description = "ARN of the state machine that runs one statement in the warehouse."
  value       = module.detector.statement_arn
}

output "pipeline_arn" {
  description = "ARN of the state machine that checks the query, loads the history, trains and activates."
  value       = module.detector.pipeline_arn
}

output "crawl_arn" {
  description = "ARN of the state machine that handles the intervals that are due."
  value       = module.detector.crawl_arn
}

output "schedule_name" {
  description = "Name of the schedule that starts the crawl machine."
  value       = module.detector.schedule_name
}

output "alarm_names" {
  description = "Name of each alarm, by what it watches."
  value       = module.detector.alarm_names
}
