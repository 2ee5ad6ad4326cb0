output "bucket_name" {
  description = "Bucket of the detector."
  value       = module.detector.bucket_name
}

output "table_name" {
  description = "Table of the detector's state."
  value       = module.detector.table_name
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket."
  value       = module.detector.configuration_key
}

output "pipeline_arn" {
  description = "State machine that loads the history and trains."
  value       = module.detector.pipeline_arn
}

output "statement_arn" {
  description = "State machine that runs one statement."
  value       = module.detector.statement_arn
}

output "crawl_arn" {
  description = "State machine that handles the intervals that are due."
  value       = module.detector.crawl_arn
}

output "schedule_name" {
  description = "Schedule that starts the crawl."
  value       = module.detector.schedule_name
}

output "function_names" {
  description = "Names of the functions by key."
  value       = module.detector.function_names
}

output "role_arns" {
  description = "ARNs of the roles by key."
  value       = module.detector.role_arns
}

output "unload_role_arn" {
  description = "Role that the warehouse assumes to write to the bucket."
  value       = module.detector.unload_role_arn
}

output "alerts_topic_arn" {
  description = "Topic that alerts are published to."
  value       = module.detector.alerts_topic_arn
}

output "operations_topic_arn" {
  description = "Topic that failures are published to."
  value       = module.detector.operations_topic_arn
}

output "dead_letter_queue_url" {
  description = "Queue of what could not be delivered."
  value       = module.detector.dead_letter_queue_url
}

output "glue_database_name" {
  description = "Database of the results in the Glue catalogue."
  value       = module.detector.glue_database_name
}

output "received_queue_urls" {
  description = "Queues that are subscribed to the topics: `alerts` and `operations`."
  value       = { for key, queue in aws_sqs_queue.received : key => queue.url }
}
