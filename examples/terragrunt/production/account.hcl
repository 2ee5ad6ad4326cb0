locals {
  id          = "111111111111"
  environment = "production"
  deploy_role = "terraform"

  # Every role of a detector gets the boundary that this account demands.
  iam = {
    path                     = "/detectors/"
    permissions_boundary_arn = "arn:aws:iam::111111111111:policy/workload-boundary"
  }

  # Who is told: a team's address in production, nobody in staging.
  on_call = "data-on-call@example.com"
  budget  = { dollars = 200 }
}
