output "pipeline_arn" {
  description = "ARN of the state machine that loads the history and trains; its first execution starts automatically."
  value       = module.detector.pipeline_arn
}

output "table_name" {
  description = "Name of the DynamoDB table that holds the detector's status."
  value       = module.detector.table_name
}
