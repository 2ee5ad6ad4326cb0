# The role that COPY assumes.
data "aws_iam_policy_document" "copy_trust" {
  statement {
    sid     = "RedshiftReadsTheSample"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

data "aws_iam_policy_document" "copy" {
  statement {
    sid       = "ReadTheSample"
    actions   = ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"]
    resources = [aws_s3_bucket.sample.arn, "${aws_s3_bucket.sample.arn}/*"]
  }
}

resource "aws_iam_role" "copy" {
  name               = "${var.name}-copy"
  description        = "Assumed by Amazon Redshift to load the sample shop."
  assume_role_policy = data.aws_iam_policy_document.copy_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "copy" {
  name   = "read-the-sample"
  role   = aws_iam_role.copy.id
  policy = data.aws_iam_policy_document.copy.json
}

# Serverless, the default.
resource "aws_redshiftserverless_namespace" "this" {
  #checkov:skip=CKV_AWS_283:A demonstration; Redshift encrypts with its own key.
  count = var.cluster == null ? 1 : 0

  namespace_name        = var.name
  db_name               = local.database
  admin_username        = local.administrator
  manage_admin_password = true
  iam_roles             = [aws_iam_role.copy.arn]
  tags                  = var.tags

  lifecycle {
    # The detector attaches its own role beside this one.
    ignore_changes = [iam_roles]
  }
}

resource "aws_redshiftserverless_workgroup" "this" {
  count = var.cluster == null ? 1 : 0

  workgroup_name       = var.name
  namespace_name       = aws_redshiftserverless_namespace.this[0].namespace_name
  base_capacity        = var.base_capacity
  enhanced_vpc_routing = true
  publicly_accessible  = false
  subnet_ids           = aws_subnet.this[*].id
  security_group_ids   = [aws_security_group.warehouse.id]
  tags                 = var.tags

  lifecycle {
    # Parameters that are not set here have the defaults of Redshift.
    ignore_changes = [config_parameter]
  }
}

# Or a cluster.
resource "aws_redshift_subnet_group" "this" {
  count = var.cluster == null ? 0 : 1

  name       = var.name
  subnet_ids = aws_subnet.this[*].id
  tags       = var.tags
}

resource "aws_redshift_parameter_group" "this" {
  count = var.cluster == null ? 0 : 1

  name   = var.name
  family = "redshift-1.0"
  tags   = var.tags

  parameter {
    name  = "require_ssl"
    value = "true"
  }
}

resource "aws_redshift_cluster" "this" {
  #checkov:skip=CKV_AWS_71:Audit logs of a demonstration; aws_redshift_logging adds them.
  #checkov:skip=CKV_AWS_142:A demonstration; Redshift encrypts with its own key.
  #checkov:skip=CKV_AWS_154:The cluster is in the private network above.
  count = var.cluster == null ? 0 : 1

  cluster_identifier           = var.name
  database_name                = local.database
  master_username              = local.administrator
  manage_master_password       = true
  node_type                    = var.cluster.node_type
  cluster_type                 = var.cluster.number_of_nodes > 1 ? "multi-node" : "single-node"
  number_of_nodes              = var.cluster.number_of_nodes
  cluster_subnet_group_name    = aws_redshift_subnet_group.this[0].name
  cluster_parameter_group_name = aws_redshift_parameter_group.this[0].name
  vpc_security_group_ids       = [aws_security_group.warehouse.id]
  enhanced_vpc_routing         = true
  publicly_accessible          = false
  encrypted                    = true
  skip_final_snapshot          = true
  iam_roles                    = [aws_iam_role.copy.arn]
  tags                         = var.tags

  lifecycle {
    # The detector attaches its own role beside this one.
    ignore_changes = [iam_roles]
  }
}
