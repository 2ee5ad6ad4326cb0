output "table_names" {
  description = "Name of the DynamoDB table that holds each detector's status, by detector."
  value       = { for name, detector in module.detector : name => detector.table_name }
}

output "schedule_names" {
  description = "Name of each detector's EventBridge schedule, by detector."
  value       = { for name, detector in module.detector : name => detector.schedule_name }
}

output "sign_in_sql" {
  description = "SQL statements to run once as a database administrator, if the functions sign in with their IAM roles; null entries with a secret."
  value       = { for name, detector in module.detector : name => detector.sign_in_sql }
}
