locals {
  statement = {
    table = ["GetItem", "PutItem", "UpdateItem"]
    read  = ["config/versions/*", "history/*", "live/*"]
    write = ["history/*/statement.sql", "live/*/statement.sql"]
    list  = ["config/versions/*", "history/*", "live/*"]
  }

  # Which way the function signs in, as the Data API chooses it.
  sign_in = (
    var.redshift.secret_arn != null ? "secret" :
    !local.is_cluster ? "workgroup" :
    var.redshift.db_user != null ? "user" : "identity"
  )

  database_arn = format(
    "arn:%s:redshift:%s:%s:dbname:%s/%s",
    var.partition, var.region, var.account_id, coalesce(var.redshift.cluster_identifier, "-"), var.redshift.database,
  )
  user_arn = format(
    "arn:%s:redshift:%s:%s:dbuser:%s/%s",
    var.partition, var.region, var.account_id, coalesce(var.redshift.cluster_identifier, "-"), coalesce(var.redshift.db_user, "-"),
  )
}

data "aws_iam_policy_document" "statement" {
  statement {
    sid       = "RunStatements"
    actions   = ["redshift-data:ExecuteStatement"]
    resources = [local.warehouse_arn]
  }

  statement {
    sid = "FollowItsOwnStatements"
    actions = [
      "redshift-data:CancelStatement",
      "redshift-data:DescribeStatement",
      "redshift-data:GetStatementResult",
      "redshift-data:ListStatements",
    ]
    # The Data API has no resource for a statement; the condition lets a role at its own statements only.
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "redshift-data:statement-owner-iam-userid"
      values   = ["$${aws:userid}"]
    }
  }

  statement {
    # Lambda sends what it could not handle asynchronously with the function's own rights.
    sid       = "KeepEventsThatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [var.dead_letter_queue_arn]
  }

  dynamic "statement" {
    for_each = local.sign_in == "secret" ? ["secret"] : []
    content {
      sid       = "ReadTheSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.redshift.secret_arn]
    }
  }

  dynamic "statement" {
    for_each = local.sign_in == "secret" && var.redshift.secret_kms_key_arn != null ? ["key"] : []
    content {
      sid       = "DecryptTheSecret"
      actions   = ["kms:Decrypt"]
      resources = [var.redshift.secret_kms_key_arn]
    }
  }

  dynamic "statement" {
    for_each = local.sign_in == "user" ? ["user"] : []
    content {
      sid       = "SignInAsTheUser"
      actions   = ["redshift:GetClusterCredentials"]
      resources = [local.user_arn, local.database_arn]
    }
  }

  dynamic "statement" {
    for_each = local.sign_in == "identity" ? ["identity"] : []
    content {
      sid       = "SignInAsThisRole"
      actions   = ["redshift:GetClusterCredentialsWithIAM"]
      resources = [local.database_arn]
    }
  }

  dynamic "statement" {
    for_each = local.sign_in == "workgroup" ? ["workgroup"] : []
    content {
      sid       = "SignInAsThisRole"
      actions   = ["redshift-serverless:GetCredentials"]
      resources = [local.warehouse_arn]
    }
  }
}
