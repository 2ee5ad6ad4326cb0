mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

# The account of a warehouse.
mock_provider "aws" {
  alias  = "warehouse"
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

run "many_detectors" {
  command = plan

  variables {
    redshift = { workgroup_name = "analytics", database = "prod" }
  }

  module {
    source = "./examples/many-detectors"
  }

  assert {
    condition     = length(distinct(values(output.table_names))) == 10 && length(distinct(values(output.schedule_names))) == 10
    error_message = "Ten detectors have names of their own; got ${jsonencode(output.table_names)}."
  }
}

run "other_account" {
  command = apply

  providers = {
    aws           = aws
    aws.warehouse = aws.warehouse
  }

  variables {
    cluster_identifier        = "analytics"
    warehouse_deploy_role_arn = "arn:aws:iam::222222222222:role/terraform"
    attached_role_arn         = "arn:aws:iam::222222222222:role/redshift-unload"
    external_id               = "orders-7f3a"
  }

  module {
    source = "./examples/other-account"
  }

  assert {
    condition     = strcontains(output.sign_in_sql, "\"IAMR:role\"")
    error_message = "The database user is the role in the warehouse's account; got ${output.sign_in_sql}."
  }
}

run "demo_warehouse_in_a_region_of_two_zones" {
  command = plan

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["eu-west-1a", "eu-west-1b"] }
  }

  module {
    source = "./examples/demo-warehouse"
  }

  expect_failures = [data.aws_availability_zones.available]
}

run "demo_warehouse_in_us_west_1" {
  command = plan

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["us-west-1a", "us-west-1c"] }
  }

  override_data {
    target = data.aws_region.current
    values = { id = "us-west-1" }
  }

  module {
    source = "./examples/demo-warehouse"
  }

  assert {
    condition     = tolist(aws_subnet.this[*].availability_zone) == tolist(["us-west-1a", "us-west-1c", "us-west-1a"])
    error_message = "Three subnets in two zones, which is what Redshift Serverless takes there; got ${jsonencode(aws_subnet.this[*].availability_zone)}."
  }
}

run "demo_warehouse" {
  command = apply

  module {
    source = "./examples/demo-warehouse"
  }

  assert {
    condition     = startswith(output.costs, "$3.00 an hour") && output.cluster_identifier == null
    error_message = "The smallest workgroup is the default, and its price is said; got ${output.costs}."
  }
}

run "demo_cluster" {
  command = plan

  variables {
    cluster = {}
    name    = "demo-cluster"
  }

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["eu-west-1a"] }
  }

  module {
    source = "./examples/demo-warehouse"
  }

  assert {
    condition     = output.cluster_identifier == "demo-cluster" && output.workgroup_name == null
    error_message = "A cluster instead of Serverless, for which one zone is enough."
  }

  assert {
    condition     = output.costs == "$0.54 an hour until destroy, whether statements run or not (1 ra3.large)."
    error_message = "The price is said before it is made; got ${output.costs}."
  }

  assert {
    condition = alltrue([
      for cluster in aws_redshift_cluster.this :
      tobool(cluster.encrypted) && !cluster.publicly_accessible && cluster.enhanced_vpc_routing && cluster.manage_master_password
    ])
    error_message = "It is encrypted, private, routed through the network, and Redshift keeps the password."
  }
}
