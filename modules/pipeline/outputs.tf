output "pipeline_arn" {
  description = "ARN of the state machine that checks the query, loads the history, trains and activates the detector."
  value       = aws_sfn_state_machine.pipeline.arn
}

output "pipeline_name" {
  description = "Name of the state machine that checks the query, loads the history, trains and activates the detector."
  value       = aws_sfn_state_machine.pipeline.name
}

output "statement_arn" {
  description = "ARN of the state machine that runs one SQL statement."
  value       = aws_sfn_state_machine.statement.arn

  # At destroy, everything that starts statements is deleted before running statements are stopped.
  depends_on = [aws_lambda_invocation.stop]
}

output "statement_name" {
  description = "Name of the state machine that runs one SQL statement."
  value       = aws_sfn_state_machine.statement.name
}

output "configuration_key" {
  description = "Key of the configuration document in the bucket."
  value       = aws_s3_object.configuration.key
}

output "configuration_rule_arn" {
  description = "ARN of the EventBridge rule that matches uploads of the configuration document."
  value       = aws_cloudwatch_event_rule.configuration.arn
}

output "configuration_rule_name" {
  description = "Name of the EventBridge rule that matches uploads of the configuration document."
  value       = aws_cloudwatch_event_rule.configuration.name
}

output "statement_ended_rule_arn" {
  description = "ARN of the EventBridge rule that matches executions of the statement machine that did not succeed."
  value       = aws_cloudwatch_event_rule.ended.arn
}

output "statement_ended_rule_name" {
  description = "Name of the EventBridge rule that matches executions of the statement machine that did not succeed."
  value       = aws_cloudwatch_event_rule.ended.name
}

output "log_group_arns" {
  description = "ARN of the log group of each state machine, by machine key."
  value       = { for key, group in aws_cloudwatch_log_group.this : key => group.arn }
}

output "log_group_names" {
  description = "Name of the log group of each state machine, by machine key."
  value       = { for key, group in aws_cloudwatch_log_group.this : key => group.name }
}
