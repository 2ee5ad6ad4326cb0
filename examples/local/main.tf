# Endpoint, region and credentials come from environment variables such as AWS_ENDPOINT_URL.
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}

module "detector" {
  source = "../.."

  name = var.name

  redshift = {
    cluster_identifier = var.cluster_identifier
    workgroup_name     = var.workgroup_name
    database           = var.database
    secret_arn         = var.secret_arn
    db_user            = var.db_user
  }

  query = var.query
  timestamp_column = {
    name = "timestamp"
  }
  measures   = var.measures
  dimensions = var.dimensions
  interval   = var.interval
  history    = var.history
  schedule = {
    offset_seconds = var.offset_seconds
    enabled        = var.enabled
  }
  detection = {
    lookback_intervals = var.lookback_intervals
    shards             = var.shards
  }

  alerts = merge({
    everything = {
      threshold   = var.alert_threshold
      description = "Anything unusual in the sample shop"
    }
  }, var.alerts)
  mutes     = var.mutes
  incidents = var.incidents
  calendar  = var.calendar

  subscriptions = {
    alerts = {
      queue = {
        protocol = "sqs"
        endpoint = aws_sqs_queue.received["alerts"].arn
      }
    }
    operations = {
      queue = {
        protocol = "sqs"
        endpoint = aws_sqs_queue.received["operations"].arn
      }
    }
  }

  # The local cloud runs functions with the packages of its own environment, and has no X-Ray.
  lambda = {
    layers = []
  }
  logging = {
    retention_days = 1
    tracing        = false
  }
  storage = {
    force_destroy = true
  }
  dashboard = {
    enabled = true
  }
}

# The demo reads messages from this queue; a real deployment would subscribe an email address or a chat.
resource "aws_sqs_queue" "received" {
  for_each = data.aws_iam_policy_document.received

  name                    = "${var.name}-received-${each.key}"
  sqs_managed_sse_enabled = true
  policy                  = each.value.json
}

# The topics are given by name: the module subscribes the queue, so the queue's policy cannot depend on the module's topics.
data "aws_iam_policy_document" "received" {
  for_each = toset(["alerts", "operations"])

  statement {
    sid       = "TopicSends"
    actions   = ["sqs:SendMessage"]
    resources = ["arn:*:sqs:*:*:${var.name}-received-${each.key}"]

    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:*:sns:*:*:${var.name}-${each.key}"]
    }
  }
}
