output "bucket_name" {
  description = "Name of the detector's bucket."
  value       = aws_s3_bucket.this.bucket

  # The first object must already be encrypted, protected, and reported by an event.
  depends_on = [
    aws_s3_bucket_notification.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
  ]
}

output "bucket_arn" {
  description = "ARN of the detector's bucket."
  value       = aws_s3_bucket.this.arn
}

output "table_name" {
  description = "Name of the state table."
  value       = aws_dynamodb_table.this.name
}

output "table_arn" {
  description = "ARN of the state table."
  value       = aws_dynamodb_table.this.arn
}

output "glue_database_name" {
  description = "Name of the Glue database of the results."
  value       = aws_glue_catalog_database.this.name
}

output "glue_database_arn" {
  description = "ARN of the Glue database of the results."
  value       = aws_glue_catalog_database.this.arn
}

output "glue_table_names" {
  description = "Name of each Glue table: `scores`, `anomalies`, `contributions` and `statements`."
  value       = { for key, table in aws_glue_catalog_table.results : key => table.name }
}

output "glue_table_arns" {
  description = "ARN of each Glue table: `scores`, `anomalies`, `contributions` and `statements`."
  value       = { for key, table in aws_glue_catalog_table.results : key => table.arn }
}

output "athena_query_ids" {
  description = "ID of each saved Athena query, by its name without the detector's."
  value       = { for key, query in aws_athena_named_query.this : key => query.id }
}
