terraform {
  required_version = ">= 1.9"

  required_providers {
    # The module uses it; a root says which versions it was tried with.
    # tflint-ignore: terraform_unused_required_providers
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
