# The document of each run is also read by the package's own model, in tests/terraform/test_terraform.py.
mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

variables {
  redshift = { cluster_identifier = "analytics", database = "prod" }
  query    = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
}

run "least_input" {
  command = apply

  variables {
    name             = "shop"
    timestamp_column = { name = "ts" }
    measures         = { revenue = {} }
    interval         = "PT1H"
  }

  assert {
    condition     = output.configuration_key == "config/detector.json"
    error_message = "The configuration is where the design says; it is ${output.configuration_key}."
  }
}

run "every_input" {
  command = apply

  variables {
    name        = "shop"
    description = "Everything <at> once & more"
    redshift = {
      workgroup_name     = "analytics"
      database           = "prod"
      secret_arn         = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-AbCdEf"
      secret_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
      unload_role        = { create = false, arn = "arn:aws:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b" }
    }
    timestamp_column = { name = "ts", format = "yyyy-MM-dd HH:mm:ss", timezone = "Europe/Berlin" }
    measures = {
      revenue = { aggregation = "SUM", direction = "down", min_change_by_level = { total = { min_absolute_change = 1000 } }, direction_by_slice = [{ dimension_filters = { country = ["FR"] }, direction = "both" }], min_absolute_change = 100, min_relative_change = 0.1 }
      orders  = { aggregation = "COUNT", min = 1, max = 1e6, bounded_series = "widest", unit = "count" }
      users   = { aggregation = "COUNT_DISTINCT", exact = true }
      clicks  = { aggregation = "RATIO", numerator = "clicked", denominator = "shown" }
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
    detection = { lookback_intervals = 2, rollups = ["total", "single"], false_events_per_week = 0.5, messages_per_week = 3, band = 0.95, season_intervals = 10, max_series = 1000, shards = 4 }
    alerts = {
      own      = {}
      revenue  = { threshold = 80, description = "Down", sns_topic_arns = ["arn:aws:sns:eu-west-1:123456789012:mine"], measures = ["revenue"], dimension_filters = { country = ["DE"] } }
      function = { lambda_function_arns = ["arn:aws:lambda:eu-west-1:123456789012:function:on-anomaly"] }
    }
    calendar = { countries = ["DE-BY"], days = { Fair = ["2026-02-01"] }, silent = ["DE-BY Epiphany"] }
    incidents = {
      upgrade = { start = "2026-02-01T00:00:00+01:00", end = "2026-02-03T00:00:00Z", reason = "Upgrade", dimension_filters = { channel = ["web"] } }
    }
    mutes = {
      house = { start = "2026-02-01T00:00:00+01:00", end = "2026-02-03T00:00:00Z", reason = "Moving house", measures = ["revenue"], dimension_filters = { country = ["DE"] } }
    }
    subscriptions = {
      alerts     = { me = { protocol = "email", endpoint = "me@example.com" } }
      operations = { me = { protocol = "email", endpoint = "me@example.com" } }
    }
    encryption = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
    dashboard  = { enabled = true }
    logging    = { retention_days = 30, level = "DEBUG", tracing = false, row_values = true }
    lambda     = { runtime = "python3.12", architecture = "x86_64", memory_mb = 2048, layers = [] }
    iam        = { path = "/detectors/", permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary" }
    storage    = { bucket_name = "my-bucket", force_destroy = true, history_retention_days = 400, live_retention_days = 90, results_retention_days = 400, point_in_time_recovery = false, configuration_writer_arns = ["arn:aws:iam::123456789012:role/deploy"] }
    tags       = { team = "data" }
  }

  assert {
    condition     = output.unload_role_arn == "arn:aws:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b"
    error_message = "A role that is given is used as it is; it is ${output.unload_role_arn}."
  }

  assert {
    condition     = output.glue_database_name == "shop_results"
    error_message = "Athena takes the database's name without quotes; it is ${output.glue_database_name}."
  }
}

run "connector" {
  command = apply

  module {
    source = "./tests/terraform/fixtures/connector"
  }

  variables {
    params_json = file("tests/terraform/fixtures/params.json")
  }
}
