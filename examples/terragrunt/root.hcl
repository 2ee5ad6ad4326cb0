# What every unit has in common. A unit includes this file; functions and paths below are those of the unit.
locals {
  account = read_terragrunt_config(find_in_parent_folders("account.hcl")).locals
  region  = read_terragrunt_config(find_in_parent_folders("region.hcl")).locals
  tags    = { environment = local.account.environment, managed-by = "terragrunt" }
}

# One bucket per account and region; one key per unit.
remote_state {
  backend = "s3"

  generate = {
    path      = "backend.tf"
    if_exists = "overwrite_terragrunt"
  }

  config = {
    bucket       = "terraform-state-${local.account.id}-${local.region.name}"
    key          = "${path_relative_to_include()}/terraform.tfstate"
    region       = local.region.name
    encrypt      = true
    use_lockfile = true
  }
}

generate "provider" {
  path      = "provider.tf"
  if_exists = "overwrite_terragrunt"
  contents  = <<-HCL
    provider "aws" {
      region              = "${local.region.name}"
      allowed_account_ids = ["${local.account.id}"]

      assume_role {
        role_arn = "arn:aws:iam::${local.account.id}:role/${local.account.deploy_role}"
      }
    }
  HCL
}

# A new role may be refused for a minute or two; the module retries what it can.
errors {
  retry "iam_is_eventually_consistent" {
    retryable_errors   = [".*(?i)cannot be assumed.*", ".*(?i)not authorized to perform: sts:AssumeRole.*"]
    max_attempts       = 3
    sleep_interval_sec = 30
  }
}

inputs = {
  tags = local.tags
}
