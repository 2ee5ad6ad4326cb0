locals {
  statement = {
    table = ["GetItem", "PutItem", "UpdateItem"]
    read  = ["config/versions/*", "history/*", "live/*"]
    write = ["history/*/statement.sql", "live/*/statement.sql", "statements/*"]
    list  = ["config/versions/*", "history/*", "live/*"]
  }

  # How the function authenticates, by the rules of the Data API.
  sign_in = (
    var.redshift.secret_arn != null ? "secret" :
    !local.is_cluster ? "workgroup" :
    var.redshift.db_user != null ? "user" : "identity"
  )

  database_arn = format(
    "arn:%s:redshift:%s:%s:dbname:%s/%s",
    var.partition, var.region, local.warehouse_account_id, coalesce(var.redshift.cluster_identifier, "-"), var.redshift.database,
  )
  user_arn = format(
    "arn:%s:redshift:%s:%s:dbuser:%s/%s",
    var.partition, var.region, local.warehouse_account_id, coalesce(var.redshift.cluster_identifier, "-"), coalesce(var.redshift.db_user, "-"),
  )
}

# Also what a role in the warehouse's account (redshift.role_arn) needs.
data "aws_iam_policy_document" "warehouse_access" {
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
    # These actions do not support resource-level permissions; the condition restricts the role to its own statements.
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "redshift-data:statement-owner-iam-userid"
      values   = ["$${aws:userid}"]
    }
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

data "aws_iam_policy_document" "statement" {
  source_policy_documents = var.redshift.role_arn == null ? [data.aws_iam_policy_document.warehouse_access.json] : []

  dynamic "statement" {
    for_each = var.redshift.role_arn != null ? ["role"] : []
    content {
      sid       = "ActInTheAccountOfTheWarehouse"
      actions   = ["sts:AssumeRole"]
      resources = [var.redshift.role_arn]
    }
  }

  statement {
    # Lambda sends failed asynchronous events to their destination with the function's own permissions.
    sid       = "KeepEventsThatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [var.dead_letter_queue_arn]
  }
}
