output "sign_in_sql" {
  description = "SQL statements to run once as a database administrator of the warehouse; null with a secret."
  value       = module.detector.sign_in_sql
}

output "table_name" {
  description = "Name of the DynamoDB table that holds the detector's status."
  value       = module.detector.table_name
}
