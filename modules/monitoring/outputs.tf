output "alarm_names" {
  description = "Name of each alarm, by what it watches."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.alarm_name }
}
