output "alarm_arns" {
  description = "ARN of each CloudWatch alarm, by alarm key."
  value       = { for key, alarm in merge(aws_cloudwatch_metric_alarm.this, { silence = aws_cloudwatch_metric_alarm.silence }) : key => alarm.arn }
}

output "alarm_names" {
  description = "Name of each CloudWatch alarm, by alarm key."
  value       = { for key, alarm in merge(aws_cloudwatch_metric_alarm.this, { silence = aws_cloudwatch_metric_alarm.silence }) : key => alarm.alarm_name }
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "dashboard_arn" {
  description = "ARN of the CloudWatch dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_arn)
}

output "execution_ended_rule_arn" {
  description = "ARN of the EventBridge rule that matches executions of the pipeline and crawl machines that ended without success."
  value       = aws_cloudwatch_event_rule.ended.arn
}

output "execution_ended_rule_name" {
  description = "Name of the EventBridge rule that matches executions of the pipeline and crawl machines that ended without success."
  value       = aws_cloudwatch_event_rule.ended.name
}
