# No provider: the module only computes.
run "every_key" {
  command = plan

  module {
    source = "./modules/connector"
  }

  variables {
    params_json = file("tests/terraform/fixtures/params.json")
  }

  assert {
    condition = toset(keys(output.ignored)) == toset([
      "database_type", "metric_source", "s3_bucket", "timestamp_column.ColumnFormat",
    ])
    error_message = "Keys without effect are listed; got ${jsonencode(output.ignored)}."
  }

  assert {
    condition     = output.name == "redshift-ecommerce-detector" && output.interval == "PT1H" && output.offset_seconds == 120
    error_message = "Name, interval and offset are taken; got ${output.name}."
  }

  assert {
    condition     = output.secret_name == "old-secret" && output.alerts["old-alert"].threshold == 70
    error_message = "Secret and alert are taken; got ${jsonencode(output.alerts)}."
  }
}

run "least" {
  command = plan

  module {
    source = "./modules/connector"
  }

  variables {
    params_json = jsonencode({
      detector_name        = "x"
      detector_frequency   = "P1D"
      detector_description = ""
      metrics_set          = [{ MetricName = "views", AggregationFunction = "sum" }]
      timestamp_column     = { ColumnName = "ts" }
      alert_threshold      = 70
      alert_lambda_arn     = ""
      offset               = null
      verbose              = true
    })
  }

  assert {
    condition     = can(regex("^x-[0-9a-f]{6}$", output.name))
    error_message = "A name that is too short gets a hash; got ${output.name}."
  }

  assert {
    condition = (
      output.description == null && output.offset_seconds == null && output.secret_name == null
      && length(output.alerts) == 0 && length(output.dimensions) == 0
    )
    error_message = "What is missing or empty is left to the detector's defaults."
  }

  assert {
    condition     = output.measures == { views = { aggregation = "SUM" } }
    error_message = "Aggregations are uppercase; got ${jsonencode(output.measures)}."
  }

  assert {
    condition     = output.ignored == { alert_threshold = "There is no alert_name.", alert_lambda_arn = "There is no alert_name.", verbose = "The key is unknown." }
    error_message = "An alert without a name and an unknown key are listed; got ${jsonencode(output.ignored)}."
  }
}

run "long_name" {
  command = plan

  module {
    source = "./modules/connector"
  }

  variables {
    params_json = jsonencode({
      detector_name      = "2-names-that-Lookout-for-Metrics-took-have-63-characters"
      detector_frequency = "P1D"
      metrics_set        = [{ MetricName = "views", AggregationFunction = "SUM" }]
      timestamp_column   = { ColumnName = "ts" }
    })
  }

  assert {
    condition     = can(regex("^detector-2-names-that-loo-[0-9a-f]{6}$", output.name)) && length(output.name) <= 32
    error_message = "A long name is cut and gets a hash; got ${output.name}."
  }
}
