output "function_arns" {
  description = "ARN of each Lambda function, by function key."
  value       = { for key, function in aws_lambda_function.this : key => function.arn }
}

output "function_names" {
  description = "Name of each Lambda function, by function key."
  value       = { for key, function in aws_lambda_function.this : key => function.function_name }
}

output "log_group_arns" {
  description = "ARN of the log group of each Lambda function, by function key."
  value       = { for key, group in aws_cloudwatch_log_group.this : key => group.arn }
}

output "log_group_names" {
  description = "Name of the log group of each Lambda function, by function key."
  value       = { for key, group in aws_cloudwatch_log_group.this : key => group.name }
}

output "package_bucket_arn" {
  description = "ARN of the bucket that holds the deployment package; null if `lambda.package` is given."
  value       = one(aws_s3_bucket.package[*].arn)
}

output "package_bucket_name" {
  description = "Name of the bucket that holds the deployment package; null if `lambda.package` is given."
  value       = one(aws_s3_bucket.package[*].bucket)
}
