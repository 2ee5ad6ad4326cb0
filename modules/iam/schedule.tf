data "aws_iam_policy_document" "schedule_trust" {
  statement {
    sid     = "SchedulerRunsThisGroup"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    # Scheduler passes the ARN of the schedule group, not of the schedule.
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${var.partition}:scheduler:${var.region}:${var.account_id}:schedule-group/${var.name}"]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name                 = "${var.name}-schedule"
  description          = "Schedule of the anomaly detector ${var.name}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.schedule_trust.json
  tags                 = var.tags
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "StartTheCrawl"
    actions   = ["states:StartExecution"]
    resources = [local.machine_arns["crawl"]]
  }

  statement {
    sid       = "KeepRunsThatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [var.dead_letter_queue_arn]
  }

  dynamic "statement" {
    for_each = var.encryption != null ? ["encryption"] : []
    content {
      # For the schedule's input and for the queue.
      sid       = "UseTheDetectorsKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "schedule" {
  name   = "${var.name}-schedule"
  role   = aws_iam_role.schedule.id
  policy = data.aws_iam_policy_document.schedule.json
}
