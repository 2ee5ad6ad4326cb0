locals {
  # Functions that each state machine invokes.
  machines = {
    statement = ["statement", "warehouse_role"]
    pipeline  = ["prepare", "plan_history", "train", "activate", "deliver", "record_failure"]
    crawl     = ["reconcile", "plan_crawl", "detect", "commit", "deliver", "record_failure"]
  }
}

data "aws_iam_policy_document" "machine_trust" {
  for_each = local.machines

  statement {
    sid     = "StepFunctionsRunsThisMachine"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [local.machine_arns[each.key]]
    }
  }
}

resource "aws_iam_role" "machine" {
  for_each = local.machines

  name                 = "${var.name}-${each.key}-machine"
  description          = "State machine ${each.key} of the anomaly detector ${var.name}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.machine_trust[each.key].json
  tags                 = var.tags
}

data "aws_iam_policy_document" "machine" {
  for_each = local.machines

  statement {
    sid       = "InvokeItsFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = [for function in each.value : local.function_arns[function]]
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? [] : ["statement"]
    content {
      sid       = "StartStatements"
      actions   = ["states:StartExecution"]
      resources = [local.machine_arns["statement"]]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? [] : ["statement"]
    content {
      sid       = "WaitForStatements"
      actions   = ["states:DescribeExecution", "states:StopExecution"]
      resources = [local.execution_arns["statement"]]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? [] : ["statement"]
    content {
      # Step Functions detects the end of a nested execution with a managed rule of this name.
      sid     = "ManageNestedExecutionRule"
      actions = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
      resources = [
        "arn:${var.partition}:events:${var.region}:${var.account_id}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule",
      ]
    }
  }

  statement {
    sid = "DeliverLogs"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    # The actions that set up log delivery do not support resource-level permissions.
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = var.tracing ? ["tracing"] : []
    content {
      sid = "WriteTraces"
      actions = [
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
      ]
      # These actions do not support resource-level permissions.
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "machine" {
  for_each = local.machines

  name   = "${var.name}-${each.key}-machine"
  role   = aws_iam_role.machine[each.key].id
  policy = data.aws_iam_policy_document.machine[each.key].json
}
