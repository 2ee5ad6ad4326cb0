locals {
  # Per function: DynamoDB actions on the detector's items, and the prefixes of the bucket that it reads, writes, deletes and
  # lists. A function with further permissions has its own file, which contains all of its permissions.
  functions = {
    for key, function in {
      reconcile      = local.reconcile
      warehouse_role = local.warehouse_role
      statement      = local.statement
      record_failure = local.record_failure
      deliver        = local.deliver
      stop           = local.stop
      plan_crawl     = local.plan_crawl

      prepare = {
        table = ["GetItem", "PutItem", "UpdateItem"]
        read  = ["config/*"]
        write = ["config/versions/*"]
        list  = ["config/*"]
      }
      plan_history = {
        table = ["GetItem", "Query"]
        read  = ["config/versions/*"]
        list  = ["config/versions/*", "history/*"]
      }
      train = {
        table = ["Query"]
        read  = ["config/versions/*", "history/*", "models/*"]
        write = ["models/*"]
        list  = ["config/versions/*", "history/*", "models/*"]
      }
      activate = {
        table  = ["GetItem", "Query", "PutItem", "UpdateItem"]
        read   = ["config/versions/*"]
        delete = ["models/*"]
        list   = ["config/versions/*", "models/*"]
      }
      detect = {
        table = ["GetItem", "Query", "UpdateItem"]
        read  = ["config/versions/*", "live/*", "models/*"]
        write = ["live/*", "models/*"]
        list  = ["config/versions/*", "live/*", "models/*"]
      }
      commit = {
        table  = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
        read   = ["config/versions/*", "live/*", "models/*"]
        write  = ["live/*", "models/*"]
        delete = ["models/*"]
        list   = ["config/versions/*", "live/*", "models/*"]
      }
      respond = {
        table = ["GetItem", "Query", "PutItem", "UpdateItem"]
        read  = ["config/versions/*"]
        list  = ["config/versions/*"]
      }
      # It changes nothing: what people press goes to respond, with their own rights.
      console = {
        table = ["GetItem", "Query"]
        read  = ["config/versions/*", "reports/training.json", "results/scores/*"]
        list  = ["config/versions/*", "reports/*", "results/scores/*"]
      }
    } : key => merge({ table = [], read = [], write = [], delete = [], list = [] }, function) if key != "console" || var.console
  }

  # Separate from the above, so that roles do not depend on the topics and queues in the policies.
  documents = {
    reconcile      = [data.aws_iam_policy_document.reconcile.json]
    warehouse_role = data.aws_iam_policy_document.warehouse_role[*].json
    statement      = [data.aws_iam_policy_document.statement.json]
    record_failure = [data.aws_iam_policy_document.record_failure.json]
    deliver        = [data.aws_iam_policy_document.deliver.json]
    stop           = [data.aws_iam_policy_document.stop.json]
    plan_crawl     = [data.aws_iam_policy_document.plan_crawl.json]
  }
}

data "aws_iam_policy_document" "function_trust" {
  for_each = local.functions

  statement {
    sid     = "LambdaRunsThisFunction"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    # IfExists: AWS does not document the key for the call with which Lambda tests the role when a function is created.
    condition {
      test     = "ArnLikeIfExists"
      variable = "aws:SourceArn"
      values   = [local.function_arns[each.key]]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${var.name}-${replace(each.key, "_", "-")}"
  description          = "Function ${replace(each.key, "_", " ")} of the anomaly detector ${var.name}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.function_trust[each.key].json
  tags                 = var.tags
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  source_policy_documents = lookup(local.documents, each.key, [])

  statement {
    sid       = "WriteItsOwnLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_prefix}/aws/lambda/${var.name}-${replace(each.key, "_", "-")}:*"]
  }

  dynamic "statement" {
    for_each = var.tracing ? ["tracing"] : []
    content {
      sid     = "WriteTraces"
      actions = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      # These actions do not support resource-level permissions.
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.table) > 0 ? ["table"] : []
    content {
      sid       = "UseItemsOfThisDetector"
      actions   = [for action in each.value.table : "dynamodb:${action}"]
      resources = [var.table_arn]

      condition {
        test     = "ForAllValues:StringEquals"
        variable = "dynamodb:LeadingKeys"
        values   = [var.name]
      }
    }
  }

  dynamic "statement" {
    for_each = length(each.value.list) > 0 ? ["list"] : []
    content {
      # Without this permission, S3 answers a request for a missing object with "access denied".
      sid       = "ListObjects"
      actions   = ["s3:ListBucket"]
      resources = [var.bucket_arn]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = each.value.list
      }
    }
  }

  dynamic "statement" {
    for_each = length(each.value.read) > 0 ? ["read"] : []
    content {
      sid       = "ReadObjects"
      actions   = ["s3:GetObject"]
      resources = [for prefix in each.value.read : "${var.bucket_arn}/${prefix}"]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.write) > 0 ? ["write"] : []
    content {
      sid       = "WriteObjects"
      actions   = ["s3:PutObject"]
      resources = [for prefix in each.value.write : "${var.bucket_arn}/${prefix}"]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.delete) > 0 ? ["delete"] : []
    content {
      sid       = "DeleteObjects"
      actions   = ["s3:DeleteObject"]
      resources = [for prefix in each.value.delete : "${var.bucket_arn}/${prefix}"]
    }
  }

  dynamic "statement" {
    # Functions that use neither table nor bucket use nothing that is encrypted.
    for_each = var.encryption != null && length(concat(each.value.table, each.value.list)) > 0 ? ["encryption"] : []
    content {
      sid       = "UseTheDetectorsKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        # Service hosts have other suffixes in other partitions.
        values = [for service in ["dynamodb", "s3", "sns", "sqs"] : "${service}.${var.region}.amazonaws.com*"]
      }
    }
  }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "${var.name}-${replace(each.key, "_", "-")}"
  # The ID equals the name, but is unknown if the role is replaced, so that the policy is replaced as well: IAM does not delete
  # a role that has inline policies.
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json
}
