output "alarm_arns" {
  description = "ARN of each CloudWatch alarm, by alarm key."
  value       = { for key, alarm in merge(aws_cloudwatch_metric_alarm.this, { silence = aws_cloudwatch_metric_alarm.silence }) : key => alarm.arn }
}

output "alarm_names" {
  description = "Name of each CloudWatch alarm, by alarm key."
  value       = { for key, alarm in merge(aws_cloudwatch_metric_alarm.this, { silence = aws_cloudwatch_metric_alarm.silence }) : key => alarm.alarm_name }
}

output "execution_ended_rule_arn" {
  description = "ARN of the EventBridge rule that matches executions of the pipeline and crawl machines that ended without success."
  value       = aws_cloudwatch_event_rule.ended.arn
}

output "execution_ended_rule_name" {
  description = "Name of the EventBridge rule that matches executions of the pipeline and crawl machines that ended without success."
  value       = aws_cloudwatch_event_rule.ended.name
}
