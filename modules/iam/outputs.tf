output "function_role_arns" {
  description = "ARN of the IAM role of each Lambda function, by function key."
  value       = { for key, role in aws_iam_role.function : key => role.arn }
}

output "function_role_names" {
  description = "Name of the IAM role of each Lambda function, by function key."
  value       = { for key, role in aws_iam_role.function : key => role.id }
}

output "machine_role_arns" {
  description = "ARN of the IAM role of each state machine: `statement`, `pipeline` and `crawl`."
  value       = { for key, role in aws_iam_role.machine : key => role.arn }

  # Step Functions tests the rights to logs and events when a machine is made. The functions' policies wait for queue and
  # topics, which the functions themselves need not do: who calls a function waits for a machine, and so for its policy.
  depends_on = [aws_iam_role_policy.machine, aws_iam_role_policy.function]
}

output "machine_role_names" {
  description = "Name of the IAM role of each state machine: `statement`, `pipeline` and `crawl`."
  value       = { for key, role in aws_iam_role.machine : key => role.name }
}

output "schedule_role_arn" {
  description = "ARN of the IAM role of the schedule."
  value       = aws_iam_role.schedule.arn
  depends_on  = [aws_iam_role_policy.schedule]
}

output "schedule_role_name" {
  description = "Name of the IAM role of the schedule."
  value       = aws_iam_role.schedule.name
}

output "unload_role_arn" {
  description = "Value of `IAM_ROLE` in UNLOAD: an ARN, a role chain, or `default`."
  value       = var.unload_role.create ? aws_iam_role.unload[0].arn : var.unload_role.arn
  depends_on  = [aws_iam_role_policy.unload]
}

output "unload_role_attach_arn" {
  description = "ARN of the role that the module attaches to the warehouse; null if an existing role is used."
  value       = one(aws_iam_role.unload[*].arn)
  depends_on  = [aws_iam_role_policy.unload]
}

output "unload_role_name" {
  description = "Name of the UNLOAD role that the module created; null if an existing role is used."
  value       = one(aws_iam_role.unload[*].name)
}

output "warehouse_role_policy" {
  description = "Policy for attaching the UNLOAD role to the warehouse, as JSON; null if an existing role is used."
  value       = one(data.aws_iam_policy_document.warehouse_role[*].json)
}

output "unload_role_policy" {
  description = "Policy that the UNLOAD role needs, as JSON; attached if the module created the role."
  value       = data.aws_iam_policy_document.unload.json
}

output "warehouse_access_policy" {
  description = "Policy for running statements in the warehouse, as JSON; attached to the function's role unless `redshift.role_arn` is set, whose role needs it."
  value       = data.aws_iam_policy_document.warehouse_access.json
}

output "sign_in_user" {
  description = "Database user that statements authenticate as with an IAM role, the function's or `redshift.role_arn`; null with a secret or a database user."
  value = contains(["identity", "workgroup"], local.sign_in) ? (
    "IAMR:${var.redshift.role_arn == null ? aws_iam_role.function["statement"].name : reverse(split("/", var.redshift.role_arn))[0]}"
  ) : null
}
