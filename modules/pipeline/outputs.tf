output "pipeline_arn" {
  description = "ARN of the state machine that loads the history, trains and activates."
  value       = aws_sfn_state_machine.pipeline.arn
}

output "statement_arn" {
  description = "ARN of the state machine that runs one statement."
  value       = aws_sfn_state_machine.statement.arn
}

output "configuration_key" {
  description = "Key of the configuration in the bucket."
  value       = aws_s3_object.configuration.key
}
