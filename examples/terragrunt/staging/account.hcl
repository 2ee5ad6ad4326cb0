locals {
  id          = "222222222222"
  environment = "staging"
  deploy_role = "terraform"

  iam = {
    path                     = "/detectors/"
    permissions_boundary_arn = null
  }

  on_call = null
  budget  = null
}
