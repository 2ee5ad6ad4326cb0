mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

variables {
  email = "me@example.com"
}

run "minimal" {
  command = apply

  variables {
    cluster_identifier = "analytics"
  }

  module {
    source = "./examples/minimal"
  }
}

run "complete_with_a_workgroup" {
  command = apply

  variables {
    workgroup_name = "analytics"
  }

  module {
    source = "./examples/complete"
  }
}

run "complete_with_a_cluster_and_roles_of_ones_own" {
  command = plan

  variables {
    cluster_identifier       = "analytics"
    db_user                  = "watcher"
    unload_role_arn          = "default"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    alert_function_arns      = ["arn:aws:lambda:eu-west-1:123456789012:function:on-anomaly"]
  }

  module {
    source = "./examples/complete"
  }
}

run "from_lookout" {
  command = apply

  variables {
    cluster_identifier = "analytics"
    database           = "prod"
  }

  module {
    source = "./examples/from-lookout"
  }

  assert {
    condition     = toset(keys(output.ignored)) == toset(["database_type", "metric_source", "s3_bucket", "timestamp_column.ColumnFormat"])
    error_message = "Keys without effect are shown; got ${jsonencode(output.ignored)}."
  }
}
