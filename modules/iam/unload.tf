# The role that Redshift assumes for UNLOAD.
data "aws_iam_policy_document" "unload_trust" {
  count = var.unload_role.create ? 1 : 0

  statement {
    sid     = "RedshiftWritesFromThisWarehouse"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = local.unload_principals
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = local.unload_source_arns
    }
  }
}

resource "aws_iam_role" "unload" {
  count = var.unload_role.create ? 1 : 0

  name                 = "${var.name}-unload"
  description          = "Assumed by Amazon Redshift to unload for the anomaly detector ${var.name}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.unload_trust[0].json
  tags                 = var.tags
}

# Also what an existing role (unload_role.arn) needs.
data "aws_iam_policy_document" "unload" {
  statement {
    # UNLOAD first checks that the prefix is empty, the bucket's region and, with ENCRYPTED AUTO, the bucket's key.
    sid       = "LookAtTheBucket"
    actions   = ["s3:GetBucketLocation", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [var.bucket_arn]
  }

  statement {
    # Large files are uploaded in parts; a failed UNLOAD aborts its uploads.
    sid       = "WriteWhatIsUnloaded"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = ["${var.bucket_arn}/history/*", "${var.bucket_arn}/live/*"]
  }

  dynamic "statement" {
    for_each = var.encryption != null ? ["encryption"] : []
    content {
      # Completing an encrypted multipart upload requires Decrypt.
      sid       = "UseTheDetectorsKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "unload" {
  count = var.unload_role.create ? 1 : 0

  name   = "${var.name}-unload"
  role   = aws_iam_role.unload[0].id
  policy = data.aws_iam_policy_document.unload.json
}
