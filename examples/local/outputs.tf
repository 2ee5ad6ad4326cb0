output "bucket_name" {
  description = "Name of the detector's bucket."
  value       = module.detector.bucket_name
}

output "table_name" {
  description = "Name of the state table."
  value       = module.detector.table_name
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket."
  value       = module.detector.configuration_key
}

output "pipeline_arn" {
  description = "ARN of the state machine that loads the history and trains."
  value       = module.detector.pipeline_arn
}

output "statement_arn" {
  description = "ARN of the state machine that runs one SQL statement."
  value       = module.detector.statement_arn
}

output "crawl_arn" {
  description = "ARN of the state machine that crawls due intervals."
  value       = module.detector.crawl_arn
}

output "schedule_name" {
  description = "Name of the schedule that starts the crawl."
  value       = module.detector.schedule_name
}

output "function_names" {
  description = "Name of each Lambda function, by function key."
  value       = module.detector.function_names
}

output "role_arns" {
  description = "ARN of each IAM role, by role key."
  value       = module.detector.role_arns
}

output "unload_role_arn" {
  description = "ARN of the role that Redshift assumes for UNLOAD."
  value       = module.detector.unload_role_arn
}

output "alerts_topic_arn" {
  description = "ARN of the topic that alerts are published to."
  value       = module.detector.alerts_topic_arn
}

output "operations_topic_arn" {
  description = "ARN of the topic that failures are published to."
  value       = module.detector.operations_topic_arn
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = module.detector.dead_letter_queue_url
}

output "glue_database_name" {
  description = "Name of the Glue database of the results."
  value       = module.detector.glue_database_name
}

output "received_queue_urls" {
  description = "URL of the queue subscribed to each topic: `alerts` and `operations`."
  value       = { for key, queue in aws_sqs_queue.received : key => queue.url }
}
