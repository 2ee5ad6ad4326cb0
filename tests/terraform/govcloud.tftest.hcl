# Every ARN that the module makes must be of the partition that it runs in. Assertions here reach outputs only; the documents
# and policies of this run are searched in tests/terraform/test_terraform.py.
mock_provider "aws" {
  source = "./tests/terraform/mocks/gov"
}

variables {
  query = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
}

run "govcloud" {
  command = apply

  variables {
    name        = "shop"
    description = "Everything <at> once & more"
    redshift = {
      workgroup_name     = "analytics"
      database           = "prod"
      secret_arn         = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:shop-AbCdEf"
      secret_kms_key_arn = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    }
    timestamp_column = { name = "ts", format = "yyyy-MM-dd HH:mm:ss", timezone = "Europe/Berlin" }
    measures = {
      revenue = { aggregation = "SUM", direction = "down", min_absolute_change = 100, min_relative_change = 0.1 }
      orders  = { aggregation = "COUNT" }
    }
    dimensions        = ["country", "channel"]
    dimension_filters = { country = ["DE", "FR"] }
    interval          = "P1D"
    schedule          = { timezone = "America/Argentina/Buenos_Aires", offset_seconds = 7200, enabled = false }
    history = {
      start       = "2023-01-01T00:00:00+01:00"
      query       = "with a as (select * from archive where ts >= {{ window_start }} and ts < {{ window_end }}) select * from a"
      chunk       = "P60D"
      parallelism = 8
    }
    detection = { lookback_intervals = 2, rollups = ["total", "single"], false_events_per_week = 0.5, band = 0.95, season_intervals = 10, max_series = 1000, shards = 4 }
    alerts = {
      own      = {}
      revenue  = { threshold = 80, description = "Down", sns_topic_arns = ["arn:aws-us-gov:sns:us-gov-west-1:123456789012:mine"], measures = ["revenue"], dimension_filters = { country = ["DE"] } }
      function = { lambda_function_arns = ["arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:on-anomaly"] }
    }
    subscriptions = {
      alerts     = { me = { protocol = "email", endpoint = "me@example.com" } }
      operations = { me = { protocol = "email", endpoint = "me@example.com" } }
    }
    encryption = { kms_key_arn = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
    dashboard  = { enabled = true }
    logging    = { retention_days = 30, level = "DEBUG", tracing = false }
    lambda     = { runtime = "python3.12", architecture = "x86_64", memory_mb = 2048, layers = [] }
    iam        = { path = "/detectors/", permissions_boundary_arn = "arn:aws-us-gov:iam::123456789012:policy/boundary" }
    storage    = { bucket_name = "my-bucket", force_destroy = true, history_retention_days = 400, live_retention_days = 90, results_retention_days = 400, point_in_time_recovery = false }
    tags       = { team = "data" }
  }

  assert {
    condition     = alltrue([for arn in values(output.role_arns) : startswith(arn, "arn:aws-us-gov:")])
    error_message = "Roles are of the partition: ${jsonencode(output.role_arns)}."
  }
}
