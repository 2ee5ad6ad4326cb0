locals {
  # Neither table nor bucket: all that it does is to attach the role for UNLOAD, where that is made here.
  warehouse_role = {}
}

data "aws_iam_policy_document" "warehouse_role" {
  count = var.unload_role.create ? 1 : 0

  dynamic "statement" {
    for_each = local.is_cluster ? ["cluster"] : []
    content {
      sid       = "AttachToTheCluster"
      actions   = ["redshift:DescribeClusters", "redshift:ModifyClusterIamRoles"]
      resources = [local.cluster_arn]
    }
  }

  dynamic "statement" {
    for_each = local.is_cluster ? [] : ["workgroup"]
    content {
      sid       = "FindTheNamespace"
      actions   = ["redshift-serverless:GetWorkgroup"]
      resources = [local.workgroup_arns]
    }
  }

  dynamic "statement" {
    for_each = local.is_cluster ? [] : ["namespace"]
    content {
      sid       = "AttachToTheNamespace"
      actions   = ["redshift-serverless:GetNamespace", "redshift-serverless:UpdateNamespace"]
      resources = [local.namespace_arns]
    }
  }

  statement {
    sid     = "HandTheRoleToRedshift"
    actions = ["iam:PassRole"]
    # A cluster is given the one role. A namespace takes only its whole list, so its other roles, whose names are not
    # known here, are passed again.
    resources = [
      "arn:${var.partition}:iam::${var.account_id}:role${local.is_cluster ? "${var.iam.path}${var.name}-unload" : "/*"}",
    ]

    # IfExists: Redshift Serverless does not name the service that the role is passed to.
    condition {
      test     = local.is_cluster ? "StringEquals" : "StringEqualsIfExists"
      variable = "iam:PassedToService"
      values   = local.unload_principals
    }
  }
}
