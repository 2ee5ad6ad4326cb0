locals {
  topics = {
    alerts     = "Anomalies found by ${var.name}"
    operations = "Failures of the anomaly detector ${var.name}"
  }

  dead_letters = "${var.name}-dead-letters"

  subscriptions = merge([
    for topic, subscriptions in var.subscriptions : {
      for name, subscription in subscriptions : "${topic}/${name}" => merge(subscription, { topic = topic })
    }
  ]...)
}

resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:A customer managed key is an input (encryption). With the AWS managed key, CloudWatch alarms could not publish.
  for_each = local.topics

  name              = "${var.name}-${each.key}"
  display_name      = substr(each.value, 0, 100)
  kms_master_key_id = try(var.encryption.kms_key_arn, null)
  tags              = var.tags
}

# Roles of the account publish with their own policies; this policy adds the alarms and requires TLS.
data "aws_iam_policy_document" "topic" {
  for_each = local.topics

  statement {
    sid       = "DenyWithoutTls"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this[each.key].arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "operations" ? { alarms = "${var.name}-*" } : {}

    content {
      sid       = "PublishAlarms"
      actions   = ["sns:Publish"]
      resources = [aws_sns_topic.this[each.key].arn]

      principals {
        type        = "Service"
        identifiers = ["cloudwatch.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [var.account_id]
      }

      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = ["arn:${var.partition}:cloudwatch:${var.region}:${var.account_id}:alarm:${statement.value}"]
      }
    }
  }
}

resource "aws_sns_topic_policy" "this" {
  for_each = local.topics

  arn    = aws_sns_topic.this[each.key].arn
  policy = data.aws_iam_policy_document.topic[each.key].json
}

resource "aws_sns_topic_subscription" "this" {
  for_each = local.subscriptions

  topic_arn = aws_sns_topic.this[each.value.topic].arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}

# The policy is an argument of the queue, not a resource of its own: the provider waits half a minute for each.
resource "aws_sqs_queue" "dead_letters" {
  name                              = local.dead_letters
  message_retention_seconds         = 1209600
  sqs_managed_sse_enabled           = var.encryption == null ? true : null
  kms_master_key_id                 = try(var.encryption.kms_key_arn, null)
  kms_data_key_reuse_period_seconds = var.encryption == null ? null : 3600
  policy                            = data.aws_iam_policy_document.dead_letters.json
  tags                              = var.tags
}

# Scheduler sends with the permissions of its role; only EventBridge rules send as a service.
data "aws_iam_policy_document" "dead_letters" {
  statement {
    sid       = "DenyWithoutTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = ["arn:${var.partition}:sqs:${var.region}:${var.account_id}:${local.dead_letters}"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "SendUndeliveredEvents"
    actions   = ["sqs:SendMessage"]
    resources = ["arn:${var.partition}:sqs:${var.region}:${var.account_id}:${local.dead_letters}"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values = [
        for rule in ["configuration", "execution-ended", "statement-ended"] :
        "arn:${var.partition}:events:${var.region}:${var.account_id}:rule/${var.name}-${rule}"
      ]
    }
  }
}
