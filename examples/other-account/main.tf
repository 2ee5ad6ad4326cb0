# The warehouse's account; the default provider is that of the detector.
provider "aws" {
  alias = "warehouse"

  assume_role {
    role_arn = var.warehouse_deploy_role_arn
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # The role of the function that runs statements: its name follows from the detector's.
  function_role_arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${var.name}-statement"
}

# There: what the detector acts as. Roles that do not exist yet cannot be principals, so the account is, narrowed to the one role.
data "aws_iam_policy_document" "access_trust" {
  statement {
    sid     = "TheDetectorRunsStatements"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = [local.function_role_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
  }
}

resource "aws_iam_role" "access" {
  provider = aws.warehouse

  name               = "${var.name}-warehouse-access"
  description        = "Assumed by the anomaly detector ${var.name} to run statements."
  assume_role_policy = data.aws_iam_policy_document.access_trust.json
}

resource "aws_iam_role_policy" "access" {
  provider = aws.warehouse

  name   = "run-statements"
  role   = aws_iam_role.access.id
  policy = module.detector.warehouse_access_policy_json
}

# There: the role that is attached to the warehouse may become the writer.
data "aws_iam_policy_document" "attached" {
  statement {
    sid       = "BecomeTheWriter"
    actions   = ["sts:AssumeRole"]
    resources = [aws_iam_role.writer.arn]
  }
}

resource "aws_iam_role_policy" "attached" {
  provider = aws.warehouse

  name   = "${var.name}-writer"
  role   = reverse(split("/", var.attached_role_arn))[0]
  policy = data.aws_iam_policy_document.attached.json
}

# Here: the role that writes into the detector's bucket, so that this account owns the objects.
data "aws_iam_policy_document" "writer_trust" {
  statement {
    sid     = "TheWarehouseWrites"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [var.attached_role_arn]
    }
  }
}

resource "aws_iam_role" "writer" {
  name               = "${var.name}-writer"
  description        = "Assumed by Amazon Redshift of another account to unload for the anomaly detector ${var.name}."
  assume_role_policy = data.aws_iam_policy_document.writer_trust.json
}

resource "aws_iam_role_policy" "writer" {
  name   = "write-what-is-unloaded"
  role   = aws_iam_role.writer.id
  policy = module.detector.unload_role_policy_json
}

module "detector" {
  source = "../.."

  name = var.name

  redshift = {
    cluster_identifier = var.cluster_identifier
    database           = var.database
    secret_arn         = var.secret_arn
    role_arn           = aws_iam_role.access.arn
    external_id        = var.external_id
    unload_role        = { create = false, arn = "${var.attached_role_arn},${aws_iam_role.writer.arn}" }
  }

  query            = "select ordered_at, country, amount from orders where ordered_at >= {{ window_start }} and ordered_at < {{ window_end }}"
  timestamp_column = { name = "ordered_at" }
  measures         = { amount = {} }
  dimensions       = ["country"]
  interval         = "PT1H"
  alerts           = { unusual = {} }

  subscriptions = {
    alerts     = { me = { protocol = "email", endpoint = var.email } }
    operations = { me = { protocol = "email", endpoint = var.email } }
  }
}
