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
