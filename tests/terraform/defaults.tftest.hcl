mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

variables {
  name             = "shop"
  redshift         = { cluster_identifier = "analytics", database = "prod" }
  query            = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
  timestamp_column = { name = "ts" }
  measures         = { revenue = {} }
  interval         = "PT1H"
}

run "least_input" {
  command = apply

  assert {
    condition     = output.bucket_name == "shop-123456789012-eu-west-1" && output.configuration_key == "config/detector.json"
    error_message = "bucket and configuration are outputs: ${output.bucket_name}, ${output.configuration_key}"
  }

  assert {
    condition     = length(output.function_names) >= 10 && alltrue([for name in values(output.function_names) : startswith(name, "shop-")])
    error_message = "functions carry the detector's name: ${jsonencode(output.function_names)}"
  }

  assert {
    condition     = length(output.alarm_names) == 11
    error_message = "alarms: ${jsonencode(output.alarm_names)}"
  }
}
