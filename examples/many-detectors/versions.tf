terraform {
  required_version = ">= 1.9"

  required_providers {
    # Used by the module only; a root module states the versions that it was tested with.
    # tflint-ignore: terraform_unused_required_providers
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
