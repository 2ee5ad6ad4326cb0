locals {
  # No access to table and bucket: the function only attaches the UNLOAD role, if the module creates it.
  warehouse_role = {}

  unload_role_arn = "arn:${var.partition}:iam::${var.account_id}:role${var.iam.path}${var.name}-unload"

  # A cluster accepts a single role. A namespace accepts only its complete list, so its other roles are passed again, except
  # service-linked roles, which the API rejects in the list and keeps attached.
  passed_role_arns = local.is_cluster ? [local.unload_role_arn] : sort(distinct([
    for arn in concat([local.unload_role_arn], var.redshift.serverless.iam_role_arns) : arn if !strcontains(arn, ":role/aws-service-role/")
  ]))
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
      resources = [var.redshift.serverless.workgroup_arn]
    }
  }

  dynamic "statement" {
    for_each = local.is_cluster ? [] : ["namespace"]
    content {
      # UpdateNamespace can also reset the administrator's password, so it is allowed on this one namespace only.
      sid       = "AttachToTheNamespace"
      actions   = ["redshift-serverless:GetNamespace", "redshift-serverless:UpdateNamespace"]
      resources = [var.redshift.serverless.namespace_arn]
    }
  }

  statement {
    sid       = "HandTheRoleToRedshift"
    actions   = ["iam:PassRole"]
    resources = local.passed_role_arns

    # IfExists: Redshift Serverless does not set the service that the role is passed to.
    condition {
      test     = local.is_cluster ? "StringEquals" : "StringEqualsIfExists"
      variable = "iam:PassedToService"
      values   = local.unload_principals
    }
  }

  statement {
    sid       = "ReportWhatWasDetached"
    actions   = ["sns:Publish"]
    resources = [var.operations_topic_arn]
  }

  dynamic "statement" {
    for_each = var.encryption != null ? ["encryption"] : []
    content {
      sid       = "UseTheKeyOfTheTopic"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["sns.${var.region}.amazonaws.com*"]
      }
    }
  }
}
