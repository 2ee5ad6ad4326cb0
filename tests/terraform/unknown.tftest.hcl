# ARNs of what is made in the same apply are unknown at plan; no count, for_each or validation may need them.
mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

run "plan_with_unknown_arns" {
  command = plan

  module {
    source = "./tests/terraform/fixtures/unknown"
  }
}

run "apply_with_unknown_arns" {
  command = apply

  module {
    source = "./tests/terraform/fixtures/unknown"
  }
}
