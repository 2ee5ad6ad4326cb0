include "root" {
  path = find_in_parent_folders("root.hcl")
}

terraform {
  source = "tfr:///terraform-aws-modules/redshift/aws?version=6.0.0"
}

locals {
  region = read_terragrunt_config(find_in_parent_folders("region.hcl")).locals
}

inputs = {
  cluster_identifier     = "analytics"
  database_name          = "analytics"
  node_type              = "ra3.large"
  subnet_ids             = local.region.subnet_ids
  encrypted              = true
  enhanced_vpc_routing   = true
  publicly_accessible    = false
  manage_master_password = true
}
