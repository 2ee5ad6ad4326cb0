data "aws_caller_identity" "current" {}

locals {
  database      = "l4mdemo"
  administrator = "awsuser"

  # Where statements run; Terraform signs in with the secret that Redshift keeps for the administrator.
  workgroup_name     = one(aws_redshiftserverless_workgroup.this[*].workgroup_name)
  cluster_identifier = one(aws_redshift_cluster.this[*].cluster_identifier)
  secret_arn = var.cluster == null ? (
    one(aws_redshiftserverless_namespace.this[*].admin_password_secret_arn)
  ) : one(aws_redshift_cluster.this[*].master_password_secret_arn)

  # An incident about every nine days, from two years ago to two years ahead: hours from the hour of the load, what is hit (empty: all of
  # them), and what views and revenue are multiplied by. The first ones come within a day.
  incidents = concat(
    [
      { begins = 2, hours = 2, platform = "mobile_app", marketplace = "de", factor = 0.2 },
      { begins = 8, hours = 3, platform = "mobile_web", marketplace = "", factor = 0.3 },
      { begins = 17, hours = 2, platform = "", marketplace = "jp", factor = 2.3 },
    ],
    [
      for number in range(-80, 80) : {
        begins      = 100 + number * 217
        hours       = 2 + abs(number) % 3
        platform    = element(["mobile_app", "", "pc_web", "mobile_web"], abs(number))
        marketplace = element(["de", "us", "", "fr", "jp"], abs(number))
        factor      = element([0.2, 2.4, 0.35, 0.3], abs(number))
      }
    ],
  )

  # What COPY loads, as CSV with a header.
  sample = {
    platform    = concat(["name"], ["pc_web", "mobile_web", "mobile_app"])
    marketplace = concat(["name"], ["us", "uk", "de", "fr", "es", "it", "jp"])
    incident = concat(["begins,hours,platform,marketplace,factor"], [
      for one in local.incidents : "${one.begins},${one.hours},${one.platform},${one.marketplace},${one.factor}"
    ])
  }
}

resource "aws_s3_bucket" "sample" {
  #checkov:skip=CKV_AWS_18:The bucket holds three small files of a demonstration.
  #checkov:skip=CKV_AWS_21:The objects are made by this configuration.
  #checkov:skip=CKV_AWS_144:The objects are made by this configuration.
  #checkov:skip=CKV_AWS_145:S3 encrypts with its own keys.
  #checkov:skip=CKV2_AWS_61:The objects are kept as long as the warehouse.
  #checkov:skip=CKV2_AWS_62:Nothing has to be notified.
  bucket        = "${var.name}-sample-${data.aws_caller_identity.current.account_id}-${local.region}"
  force_destroy = true
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "sample" {
  bucket = aws_s3_bucket.sample.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "sample" {
  for_each = local.sample

  bucket  = aws_s3_bucket.sample.id
  key     = "${each.key}.csv"
  content = "${join("\n", each.value)}\n"
  tags    = var.tags
}

# Each statement is waited for, and one that fails or is aborted fails the apply with Redshift's own message. Redshift
# forgets statements after a day, so all of them may run again: tables that exist stay, and what is filled is not filled again.
resource "aws_redshiftdata_statement" "table" {
  for_each = toset(["platform", "marketplace", "ecommerce", "incident"])

  workgroup_name     = local.workgroup_name
  cluster_identifier = local.cluster_identifier
  database           = local.database
  secret_arn         = local.secret_arn
  sql                = file("${path.module}/sql/create_${each.key}.sql")

  lifecycle {
    ignore_changes = all
  }
}

resource "aws_redshiftdata_statement" "copy" {
  for_each = local.sample

  workgroup_name     = local.workgroup_name
  cluster_identifier = local.cluster_identifier
  database           = local.database
  secret_arn         = local.secret_arn
  sql = templatefile("${path.module}/sql/copy.sql", {
    table   = each.key
    columns = each.value[0]
    url     = "s3://${aws_s3_object.sample[each.key].bucket}/${aws_s3_object.sample[each.key].key}"
    role    = aws_iam_role.copy.arn
  })

  lifecycle {
    ignore_changes = all
  }

  depends_on = [
    aws_redshiftdata_statement.table,
    aws_iam_role_policy.copy,
    aws_route_table_association.this,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.s3,
  ]
}

# The detector's functions sign in with IAM: the database user of their role is made at the first sign-in and may read what everybody may.
resource "aws_redshiftdata_statement" "grant" {
  workgroup_name     = local.workgroup_name
  cluster_identifier = local.cluster_identifier
  database           = local.database
  secret_arn         = local.secret_arn
  sql                = file("${path.module}/sql/grant.sql")

  lifecycle {
    ignore_changes = all
  }

  depends_on = [aws_redshiftdata_statement.table]
}

resource "aws_redshiftdata_statement" "fill" {
  workgroup_name     = local.workgroup_name
  cluster_identifier = local.cluster_identifier
  database           = local.database
  secret_arn         = local.secret_arn
  sql                = templatefile("${path.module}/sql/fill.sql", { hours_past = var.hours_past, hours_ahead = var.hours_ahead })

  timeouts {
    create = "30m"
  }

  lifecycle {
    ignore_changes = all
  }

  depends_on = [aws_redshiftdata_statement.copy, aws_redshiftdata_statement.grant]
}

module "detector" {
  source = "../.."

  name = var.name
  # Part of the configuration document: it is uploaded, and the query checked, after the tables have been filled.
  description = "Sample shop, filled by statement ${aws_redshiftdata_statement.fill.id}."

  redshift = {
    workgroup_name     = local.workgroup_name
    cluster_identifier = local.cluster_identifier
    database           = local.database
    serverless = var.cluster != null ? null : {
      workgroup_arn = aws_redshiftserverless_workgroup.this[0].arn
      namespace_arn = aws_redshiftserverless_namespace.this[0].arn
      iam_role_arns = [aws_iam_role.copy.arn]
    }
  }

  query            = file("${path.module}/sql/query.sql")
  timestamp_column = { name = "timestamp" }
  measures         = { views = {}, revenue = {} }
  dimensions       = ["platform", "marketplace"]
  interval         = "PT1H"
  history          = var.history
  alerts           = { unusual = { threshold = 60 } }
  schedule         = { enabled = var.enabled }

  subscriptions = {
    alerts     = { for name in compact([var.email]) : "me" => { protocol = "email", endpoint = name } }
    operations = { for name in compact([var.email]) : "me" => { protocol = "email", endpoint = name } }
  }

  lambda  = { layers = var.layers }
  logging = { tracing = var.tracing }
  storage = { force_destroy = true }
  tags    = var.tags
}
