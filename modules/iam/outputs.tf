output "function_role_arns" {
  description = "ARN of each function's role, by function key."
  value       = { for key, role in aws_iam_role.function : key => role.arn }
}

output "machine_role_arns" {
  description = "ARN of each state machine's role: `statement`, `pipeline`, `crawl`."
  value       = { for key, role in aws_iam_role.machine : key => role.arn }

  # Step Functions tests the rights to logs and events when a machine is made. The functions' policies wait for queue and
  # topics, which the functions themselves need not do: who calls a function waits for a machine, and so for its policy.
  depends_on = [aws_iam_role_policy.machine, aws_iam_role_policy.function]
}

output "schedule_role_arn" {
  description = "ARN of the schedule's role."
  value       = aws_iam_role.schedule.arn
  depends_on  = [aws_iam_role_policy.schedule]
}

output "unload_role_arn" {
  description = "What UNLOAD names as IAM_ROLE: an ARN, a chain of ARNs, or `default`."
  value       = var.unload_role.create ? aws_iam_role.unload[0].arn : var.unload_role.arn
  depends_on  = [aws_iam_role_policy.unload]
}

output "unload_role_attach_arn" {
  description = "ARN of the role that the module attaches to the warehouse; null where the role was given."
  value       = var.unload_role.create ? aws_iam_role.unload[0].arn : null
  depends_on  = [aws_iam_role_policy.unload]
}
