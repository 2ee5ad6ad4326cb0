locals {
  # Names of what is made elsewhere: roles name it before it exists.
  log_group_prefix = "arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:"
  machine_arns = {
    for key in ["statement", "pipeline", "crawl"] :
    key => "arn:${var.partition}:states:${var.region}:${var.account_id}:stateMachine:${var.name}-${key}"
  }
  execution_arns = {
    for key in ["statement", "pipeline"] :
    key => "arn:${var.partition}:states:${var.region}:${var.account_id}:execution:${var.name}-${key}:*"
  }
  function_arns = {
    for key in keys(local.functions) :
    key => "arn:${var.partition}:lambda:${var.region}:${var.account_id}:function:${var.name}-${replace(key, "_", "-")}"
  }

  # Per function: DynamoDB actions on the detector's items, and the prefixes of the bucket that it reads,
  # writes, deletes and lists. What only one function may do stands in the policy below.
  functions = {
    reconcile = {
      table  = ["GetItem", "PutItem", "UpdateItem"]
      read   = ["config/*"]
      write  = ["config/versions/*"]
      delete = []
      list   = ["config/*"]
    }
    warehouse_role = {
      table  = []
      read   = []
      write  = []
      delete = []
      list   = []
    }
    prepare = {
      table  = ["GetItem", "PutItem", "UpdateItem"]
      read   = ["config/*"]
      write  = ["config/versions/*"]
      delete = []
      list   = ["config/*"]
    }
    statement = {
      table  = ["PutItem", "UpdateItem"]
      read   = ["config/versions/*", "history/*", "live/*"]
      write  = []
      delete = []
      list   = ["config/versions/*", "history/*", "live/*"]
    }
    plan_history = {
      table  = ["GetItem", "Query"]
      read   = ["config/versions/*"]
      write  = []
      delete = []
      list   = ["config/versions/*", "history/*"]
    }
    train = {
      table  = ["Query"]
      read   = ["config/versions/*", "history/*"]
      write  = ["models/*"]
      delete = []
      list   = ["config/versions/*", "history/*"]
    }
    activate = {
      table  = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
      read   = ["config/versions/*", "models/*"]
      write  = ["models/*", "results/*", "reports/*"]
      delete = ["models/*", "results/*"]
      list   = ["config/versions/*", "models/*", "results/*"]
    }
    record_failure = {
      table  = ["GetItem", "Query", "UpdateItem"]
      read   = []
      write  = []
      delete = []
      list   = []
    }
    plan_crawl = {
      table  = ["GetItem", "UpdateItem"]
      read   = ["config/versions/*"]
      write  = []
      delete = []
      list   = ["config/versions/*"]
    }
    detect = {
      table  = ["GetItem"]
      read   = ["config/versions/*", "live/*", "models/*"]
      write  = ["live/*", "models/*"]
      delete = []
      list   = ["config/versions/*", "live/*", "models/*"]
    }
    commit = {
      table  = ["GetItem", "Query", "PutItem", "UpdateItem"]
      read   = ["config/versions/*", "live/*", "models/*"]
      write  = ["live/*", "models/*"]
      delete = ["models/*"]
      list   = ["config/versions/*", "live/*", "models/*"]
    }
    deliver = {
      table  = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
      read   = ["config/versions/*", "live/*"]
      write  = ["results/*"]
      delete = ["results/*"]
      list   = ["config/versions/*", "live/*", "results/*"]
    }
  }

  # Functions that each state machine invokes.
  machines = {
    statement = ["statement"]
    pipeline  = ["prepare", "plan_history", "train", "activate", "record_failure"]
    crawl     = ["reconcile", "plan_crawl", "detect", "commit", "deliver", "record_failure"]
  }

  is_cluster = var.redshift.cluster_identifier != null
  cluster_arn = format(
    "arn:%s:redshift:%s:%s:cluster:%s",
    var.partition, var.region, var.account_id, coalesce(var.redshift.cluster_identifier, "-"),
  )
  database_arn = format(
    "arn:%s:redshift:%s:%s:dbname:%s/%s",
    var.partition, var.region, var.account_id, coalesce(var.redshift.cluster_identifier, "-"), var.redshift.database,
  )
  user_arn = format(
    "arn:%s:redshift:%s:%s:dbuser:%s/%s",
    var.partition, var.region, var.account_id, coalesce(var.redshift.cluster_identifier, "-"), coalesce(var.redshift.db_user, "-"),
  )
  # ARNs of workgroups and namespaces end in an id that AWS makes up, never in the name.
  workgroup_arns = "arn:${var.partition}:redshift-serverless:${var.region}:${var.account_id}:workgroup/*"
  namespace_arns = "arn:${var.partition}:redshift-serverless:${var.region}:${var.account_id}:namespace/*"

  # Which way the statement function signs in, as the Data API chooses it.
  sign_in = (
    var.redshift.secret_arn != null ? "secret" :
    !local.is_cluster ? "workgroup" :
    var.redshift.db_user != null ? "user" : "identity"
  )

  unload_principals = (
    local.is_cluster ? ["redshift.amazonaws.com"] : ["redshift-serverless.amazonaws.com", "redshift.amazonaws.com"]
  )
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

    # IfExists: AWS does not promise the key on the call by which Lambda tries the role when a function is made.
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
      # X-Ray has no resources for these actions.
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
      # Without it a missing object is answered by "access denied".
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
    for_each = var.encryption != null && each.key != "warehouse_role" ? ["encryption"] : []
    content {
      sid       = "UseTheDetectorsKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        # The host of a service ends differently in other partitions.
        values = [for service in ["dynamodb", "s3", "sns", "sqs"] : "${service}.${var.region}.amazonaws.com*"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "reconcile" ? ["pipeline"] : []
    content {
      sid       = "StartThePipeline"
      actions   = ["states:StartExecution"]
      resources = [local.machine_arns["pipeline"]]
    }
  }

  dynamic "statement" {
    for_each = each.key == "reconcile" ? ["pipeline"] : []
    content {
      sid       = "SeeHowThePipelineEnded"
      actions   = ["states:DescribeExecution"]
      resources = [local.execution_arns["pipeline"]]
    }
  }

  dynamic "statement" {
    for_each = each.key == "reconcile" ? ["queue"] : []
    content {
      # Lambda sends what it could not handle asynchronously with the function's own rights.
      sid       = "KeepEventsThatFailed"
      actions   = ["sqs:SendMessage"]
      resources = [var.dead_letter_queue_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? ["execute"] : []
    content {
      sid       = "RunStatements"
      actions   = ["redshift-data:ExecuteStatement"]
      resources = [local.is_cluster ? local.cluster_arn : local.workgroup_arns]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? ["follow"] : []
    content {
      sid     = "FollowItsOwnStatements"
      actions = ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult"]
      # The Data API has no resource for a statement; the condition lets a role at its own statements only.
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "redshift-data:statement-owner-iam-userid"
        values   = ["$${aws:userid}"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" && local.sign_in == "secret" ? ["secret"] : []
    content {
      sid       = "ReadTheSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.redshift.secret_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" && local.sign_in == "secret" && var.redshift.secret_kms_key_arn != null ? ["key"] : []
    content {
      sid       = "DecryptTheSecret"
      actions   = ["kms:Decrypt"]
      resources = [var.redshift.secret_kms_key_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" && local.sign_in == "user" ? ["user"] : []
    content {
      sid       = "SignInAsTheUser"
      actions   = ["redshift:GetClusterCredentials"]
      resources = [local.user_arn, local.database_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" && local.sign_in == "identity" ? ["identity"] : []
    content {
      sid       = "SignInAsThisRole"
      actions   = ["redshift:GetClusterCredentialsWithIAM"]
      resources = [local.database_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" && local.sign_in == "workgroup" ? ["workgroup"] : []
    content {
      sid       = "SignInAsThisRole"
      actions   = ["redshift-serverless:GetCredentials"]
      resources = [local.workgroup_arns]
    }
  }

  dynamic "statement" {
    for_each = each.key == "warehouse_role" && var.unload_role.create && local.is_cluster ? ["cluster"] : []
    content {
      sid       = "AttachToTheCluster"
      actions   = ["redshift:DescribeClusters", "redshift:ModifyClusterIamRoles"]
      resources = [local.cluster_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "warehouse_role" && var.unload_role.create && !local.is_cluster ? ["workgroup"] : []
    content {
      sid       = "FindTheNamespace"
      actions   = ["redshift-serverless:GetWorkgroup"]
      resources = [local.workgroup_arns]
    }
  }

  dynamic "statement" {
    for_each = each.key == "warehouse_role" && var.unload_role.create && !local.is_cluster ? ["namespace"] : []
    content {
      sid       = "AttachToTheNamespace"
      actions   = ["redshift-serverless:GetNamespace", "redshift-serverless:UpdateNamespace"]
      resources = [local.namespace_arns]
    }
  }

  dynamic "statement" {
    for_each = each.key == "warehouse_role" && var.unload_role.create ? ["pass"] : []
    content {
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

  dynamic "statement" {
    for_each = each.key == "record_failure" ? ["operations"] : []
    content {
      sid       = "ReportFailures"
      actions   = ["sns:Publish"]
      resources = [var.operations_topic_arn]
    }
  }

  dynamic "statement" {
    for_each = each.key == "deliver" ? ["topics"] : []
    content {
      sid       = "PublishAlerts"
      actions   = ["sns:Publish"]
      resources = distinct(concat([var.alerts_topic_arn, var.operations_topic_arn], var.alert_sns_topic_arns))
    }
  }

  dynamic "statement" {
    for_each = each.key == "deliver" && length(var.alert_lambda_function_arns) > 0 ? ["functions"] : []
    content {
      sid       = "SendAlertsToFunctions"
      actions   = ["lambda:InvokeFunction"]
      resources = distinct(var.alert_lambda_function_arns)
    }
  }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "${var.name}-${replace(each.key, "_", "-")}"
  role   = aws_iam_role.function[each.key].name
  policy = data.aws_iam_policy_document.function[each.key].json
}

data "aws_iam_policy_document" "machine_trust" {
  for_each = local.machines

  statement {
    sid     = "StepFunctionsRunsThisMachine"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [local.machine_arns[each.key]]
    }
  }
}

resource "aws_iam_role" "machine" {
  for_each = local.machines

  name                 = "${var.name}-${each.key}-machine"
  description          = "State machine ${each.key} of the anomaly detector ${var.name}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.machine_trust[each.key].json
  tags                 = var.tags
}

data "aws_iam_policy_document" "machine" {
  for_each = local.machines

  statement {
    sid       = "InvokeItsFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = [for function in each.value : local.function_arns[function]]
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? [] : ["statement"]
    content {
      sid       = "StartStatements"
      actions   = ["states:StartExecution"]
      resources = [local.machine_arns["statement"]]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? [] : ["statement"]
    content {
      sid       = "WaitForStatements"
      actions   = ["states:DescribeExecution", "states:StopExecution"]
      resources = [local.execution_arns["statement"]]
    }
  }

  dynamic "statement" {
    for_each = each.key == "statement" ? [] : ["statement"]
    content {
      # Step Functions learns the end of a nested execution by a rule that it manages under this name.
      sid     = "HearOfTheirEnd"
      actions = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
      resources = [
        "arn:${var.partition}:events:${var.region}:${var.account_id}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule",
      ]
    }
  }

  statement {
    sid = "DeliverLogs"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    # CloudWatch Logs has no resources for the actions that set up a log delivery.
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = var.tracing ? ["tracing"] : []
    content {
      sid = "WriteTraces"
      actions = [
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
      ]
      # X-Ray has no resources for these actions.
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "machine" {
  for_each = local.machines

  name   = "${var.name}-${each.key}-machine"
  role   = aws_iam_role.machine[each.key].name
  policy = data.aws_iam_policy_document.machine[each.key].json
}

data "aws_iam_policy_document" "schedule_trust" {
  statement {
    sid     = "SchedulerRunsThisGroup"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    # Scheduler names the group, never the schedule.
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${var.partition}:scheduler:${var.region}:${var.account_id}:schedule-group/${var.name}"]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name                 = "${var.name}-schedule"
  description          = "Schedule of the anomaly detector ${var.name}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.schedule_trust.json
  tags                 = var.tags
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "StartTheCrawl"
    actions   = ["states:StartExecution"]
    resources = [local.machine_arns["crawl"]]
  }

  statement {
    sid       = "KeepRunsThatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [var.dead_letter_queue_arn]
  }

  dynamic "statement" {
    for_each = var.encryption != null ? ["encryption"] : []
    content {
      # For the schedule's input and for the queue.
      sid       = "UseTheDetectorsKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "schedule" {
  name   = "${var.name}-schedule"
  role   = aws_iam_role.schedule.name
  policy = data.aws_iam_policy_document.schedule.json
}

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
      values   = local.is_cluster ? [local.cluster_arn] : [local.workgroup_arns, local.namespace_arns]
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

data "aws_iam_policy_document" "unload" {
  count = var.unload_role.create ? 1 : 0

  statement {
    # UNLOAD looks first whether the place is empty, and where the bucket is.
    sid       = "LookAtTheBucket"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [var.bucket_arn]
  }

  statement {
    # Large files go up in parts; an UNLOAD that fails gives up what it began.
    sid       = "WriteWhatIsUnloaded"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = ["${var.bucket_arn}/history/*", "${var.bucket_arn}/live/*"]
  }

  dynamic "statement" {
    for_each = var.encryption != null ? ["encryption"] : []
    content {
      # The parts of an encrypted upload are put together with Decrypt.
      sid       = "UseTheDetectorsKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.encryption.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "unload" {
  count = var.unload_role.create ? 1 : 0

  name   = "${var.name}-unload"
  role   = aws_iam_role.unload[0].name
  policy = data.aws_iam_policy_document.unload[0].json
}
