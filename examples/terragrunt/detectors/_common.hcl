# Module version and account-wide inputs of every detector.
terraform {
  source = "tfr:///example-org/redshift-anomaly-detector/aws?version=1.0.0"
}

# The order of things: warehouse, then detectors. Outputs of a warehouse that does not exist yet are made up, for plan only.
dependency "warehouse" {
  config_path = "../warehouse"

  mock_outputs = {
    cluster_identifier    = "not-yet-created"
    cluster_database_name = "dev"
  }
  mock_outputs_allowed_terraform_commands = ["init", "plan", "validate"]
}

locals {
  account = read_terragrunt_config(find_in_parent_folders("account.hcl")).locals
  region  = read_terragrunt_config(find_in_parent_folders("region.hcl")).locals
}

inputs = {
  redshift = {
    cluster_identifier = dependency.warehouse.outputs.cluster_identifier
    database           = dependency.warehouse.outputs.cluster_database_name
  }

  iam    = local.account.iam
  budget = local.account.budget
  lambda = { layers = local.region.layers }

  subscriptions = local.account.on_call == null ? null : {
    operations = { on-call = { protocol = "email", endpoint = local.account.on_call } }
  }
}
