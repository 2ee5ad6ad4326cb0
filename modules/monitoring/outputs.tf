output "alarm_arns" {
  description = "ARN of each CloudWatch alarm, by alarm key."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}

output "alarm_names" {
  description = "Name of each CloudWatch alarm, by alarm key."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.alarm_name }
}
