output "crawl_arn" {
  description = "ARN of the state machine that crawls due intervals."
  value       = aws_sfn_state_machine.crawl.arn

  # At destroy, nobody is told of crawls any more when they are stopped.
  depends_on = [aws_lambda_invocation.stop]
}

output "crawl_name" {
  description = "Name of the state machine that crawls due intervals."
  value       = aws_sfn_state_machine.crawl.name
}

output "schedule_arn" {
  description = "ARN of the schedule."
  value       = aws_scheduler_schedule.crawl.arn
}

output "schedule_name" {
  description = "Name of the schedule."
  value       = aws_scheduler_schedule.crawl.name
}

output "schedule_group_arn" {
  description = "ARN of the schedule group."
  value       = aws_scheduler_schedule_group.this.arn
}

output "schedule_group_name" {
  description = "Name of the schedule group."
  value       = aws_scheduler_schedule_group.this.name
}

output "schedule_expression" {
  description = "Schedule expression, evaluated in the detector's time zone."
  value       = aws_scheduler_schedule.crawl.schedule_expression
}

output "log_group_arn" {
  description = "ARN of the log group of the state machine."
  value       = aws_cloudwatch_log_group.crawl.arn
}

output "log_group_name" {
  description = "Name of the log group of the state machine."
  value       = aws_cloudwatch_log_group.crawl.name
}
