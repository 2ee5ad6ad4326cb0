output "function_arns" {
  description = "ARN of each function, by function key."
  value       = { for key, function in aws_lambda_function.this : key => function.arn }
}

output "function_names" {
  description = "Name of each function, by function key."
  value       = { for key, function in aws_lambda_function.this : key => function.function_name }
}
