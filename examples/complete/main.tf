data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # Provider 5 has no attribute `region`, and 6.47 deprecates `id`: lookup() neither fails nor warns.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "id", null))
}

# What the policy of a customer managed key must allow: the account, through its IAM policies, and the services that use the key themselves.
data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:In a key policy, `*` is the key itself.
  #checkov:skip=CKV_AWS_111:In a key policy, `*` is the key itself.
  #checkov:skip=CKV_AWS_356:In a key policy, `*` is the key itself.
  statement {
    sid       = "AccountDecidesByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  statement {
    sid       = "LogsEncrypt"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        "arn:${data.aws_partition.current.partition}:logs:${local.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/*",
      ]
    }
  }

  # Alarms publish to a topic, topics send to queues.
  statement {
    sid       = "AlarmsAndTopicsSend"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "sns.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  # For the dead-letter queue, whose policy names the rule. EventBridge does not pass KMS the account that it sends for.
  statement {
    sid       = "RulesSend"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "this" {
  description         = "Anomaly detector ${var.name}"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
  tags                = var.tags
}

resource "aws_sns_topic" "finance" {
  name              = "${var.name}-finance"
  kms_master_key_id = aws_kms_key.this.arn
  tags              = var.tags
}

module "detector" {
  source = "../.."

  name        = var.name
  description = "Revenue and orders of the shop, by country and channel"

  redshift = {
    cluster_identifier = var.cluster_identifier
    workgroup_name     = var.workgroup_name
    database           = var.database
    secret_arn         = var.secret_arn
    secret_kms_key_arn = var.secret_kms_key_arn
    db_user            = var.db_user
    unload_role = {
      create = var.unload_role_arn == null
      arn    = var.unload_role_arn
    }
  }

  query = <<-SQL
    WITH live AS (
      SELECT o.ordered_at, o.amount, o.order_id, c.country, o.channel
      FROM orders AS o
      JOIN customers AS c ON c.id = o.customer
      WHERE o.status <> 'cancelled; test'
    )
    SELECT * FROM live
    WHERE ordered_at >= {{ window_start }} AND ordered_at < {{ window_end }}
  SQL

  timestamp_column = {
    name     = "ordered_at"
    format   = null
    timezone = "Europe/Berlin"
  }

  measures = {
    amount = {
      aggregation         = "SUM"
      direction           = "down"
      min_absolute_change = 1000
      min_relative_change = 0.05
    }
    order_id = {
      aggregation    = "COUNT"
      direction      = "both"
      min            = 1
      max            = null
      bounded_series = "widest"
    }
    customer_id = {
      aggregation = "COUNT_DISTINCT"
      exact       = false
    }
    return_rate = {
      aggregation = "RATIO"
      numerator   = "returned"
      denominator = "items"
      max         = 0.2
    }
  }

  dimensions        = ["country", "channel"]
  dimension_filters = { country = ["DE", "FR", "IT"] }

  interval = "P1D"
  schedule = {
    offset_seconds = 7200
    timezone       = "Europe/Berlin"
    enabled        = true
  }

  history = {
    start       = "2023-01-01T00:00:00Z"
    length      = null
    query       = <<-SQL
      SELECT ordered_at, amount, order_id, country, channel
      FROM orders_archive
      WHERE ordered_at >= {{ window_start }} AND ordered_at < {{ window_end }}
    SQL
    chunk       = "P60D"
    parallelism = 8
  }

  detection = {
    rollups               = ["total", "single", "pairs"]
    false_events_per_week = 0.5
    lookback_intervals    = 2
    max_series            = 5000
    shards                = 2
  }

  alerts = {
    revenue = {
      threshold            = 70
      description          = "Revenue of a country falls"
      sns_topic_arns       = [aws_sns_topic.finance.arn]
      lambda_function_arns = var.alert_function_arns
      kms_key_arns         = [aws_kms_key.this.arn]
      measures             = ["amount"]
      dimension_filters    = { country = ["DE"] }
    }
    anything = {}
  }

  calendar = {
    countries = ["DE", "FR", "IT"]
    days      = { "Black Friday" = ["2023-11-24", "2024-11-29", "2025-11-28", "2026-11-27"] }
    silent    = ["IT Easter Sunday"]
  }

  incidents = {
    outage = {
      start             = "2025-11-04T09:00:00+01:00"
      end               = "2025-11-04T15:00:00+01:00"
      reason            = "Payments failed in France"
      dimension_filters = { country = ["FR"] }
    }
  }

  mutes = {
    price_test = {
      start             = "2026-03-02T00:00:00+01:00"
      end               = "2026-03-09T00:00:00+01:00"
      reason            = "Prices in Italy are tested"
      measures          = ["amount"]
      dimension_filters = { country = ["IT"] }
    }
  }

  subscriptions = {
    alerts     = { team = { protocol = "email", endpoint = var.email } }
    operations = { team = { protocol = "email", endpoint = var.email } }
  }

  encryption = { kms_key_arn = aws_kms_key.this.arn }

  dashboard = {
    enabled = true
  }

  logging = {
    retention_days = 90
    level          = "INFO"
    tracing        = true
  }

  lambda = {
    runtime                = "python3.13"
    architecture           = "arm64"
    memory_mb              = 3008
    layers                 = null
    package                = null
    sdk_for_pandas_version = "3.17.1"
    powertools_version     = "3.34.0"
  }

  iam = {
    path                     = "/detectors/"
    permissions_boundary_arn = var.permissions_boundary_arn
  }

  storage = {
    bucket_name            = null
    force_destroy          = false
    history_retention_days = 400
    live_retention_days    = 90
    results_retention_days = 1100
    point_in_time_recovery = true
  }

  tags = var.tags
}
