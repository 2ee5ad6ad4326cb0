locals {
  configuration_key = "config/detector.json"
  machines          = ["statement", "pipeline"]
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:A customer key is the user's choice; CloudWatch Logs encrypts with its own key otherwise.
  #checkov:skip=CKV_AWS_338:Retention is the user's choice and is a year by default.
  for_each = toset(local.machines)

  # Groups under this prefix need no entry in the account's one resource policy for log deliveries.
  name              = "/aws/vendedlogs/states/${var.name}-${each.key}"
  retention_in_days = var.logging.retention_days
  kms_key_id        = one(var.encryption[*].kms_key_arn)
  tags              = var.tags
}

resource "aws_sfn_state_machine" "statement" {
  #checkov:skip=CKV_AWS_284:Tracing is the user's choice and is on by default.
  #checkov:skip=CKV_AWS_285:Errors are logged; execution data is left out, it may hold values from the warehouse.
  name     = "${var.name}-statement"
  role_arn = var.machine_role_arns["statement"]
  definition = templatefile("${path.module}/statement.asl.json", {
    functions = var.function_arns
    retry     = var.retry
  })

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.this["statement"].arn}:*"
  }

  tracing_configuration {
    enabled = var.logging.tracing
  }

  tags = var.tags
}

resource "aws_sfn_state_machine" "pipeline" {
  #checkov:skip=CKV_AWS_284:Tracing is the user's choice and is on by default.
  #checkov:skip=CKV_AWS_285:Errors are logged; execution data is left out, it may hold values from the warehouse.
  name     = "${var.name}-pipeline"
  role_arn = var.machine_role_arns["pipeline"]
  definition = templatefile("${path.module}/pipeline.asl.json", {
    partition           = var.partition
    functions           = var.function_arns
    retry               = var.retry
    statement_arn       = aws_sfn_state_machine.statement.arn
    history_parallelism = var.history_parallelism
  })

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.this["pipeline"].arn}:*"
  }

  tracing_configuration {
    enabled = var.logging.tracing
  }

  tags = var.tags
}

# aws_redshift_cluster_iam_roles would own the warehouse's whole list and detach the user's other roles.
resource "aws_lambda_invocation" "warehouse_role" {
  count = var.attach.create ? 1 : 0

  function_name   = var.function_arns["warehouse_role"]
  lifecycle_scope = "CRUD"
  input = jsonencode({
    cluster_identifier = var.attach.cluster_identifier
    workgroup_name     = var.attach.workgroup_name
    role_arn           = var.attach.role_arn
  })

  # With the machines come the policies of the functions, which have to outlive the detaching at destroy.
  depends_on = [aws_sfn_state_machine.pipeline]
}

resource "aws_cloudwatch_event_rule" "configuration" {
  name        = "${var.name}-configuration"
  description = "The configuration of the anomaly detector ${var.name} was uploaded."
  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket_name] }
      object = { key = [local.configuration_key] }
    }
  })
  tags = var.tags
}

resource "aws_lambda_permission" "configuration" {
  statement_id   = "ConfigurationWasUploaded"
  action         = "lambda:InvokeFunction"
  function_name  = var.function_arns["reconcile"]
  principal      = "events.amazonaws.com"
  source_arn     = aws_cloudwatch_event_rule.configuration.arn
  source_account = var.account_id
}

resource "aws_cloudwatch_event_target" "configuration" {
  rule = aws_cloudwatch_event_rule.configuration.name
  arn  = var.function_arns["reconcile"]

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 10
  }

  dead_letter_config {
    arn = var.dead_letter_queue_arn
  }

  depends_on = [aws_lambda_permission.configuration]
}

# The rule hands its event over; what then fails in the function is Lambda's to retry.
resource "aws_lambda_function_event_invoke_config" "reconcile" {
  function_name                = var.function_arns["reconcile"]
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = var.dead_letter_queue_arn
    }
  }

  # Lambda looks whether the function may send to the queue; with the machines come the policies of the functions.
  depends_on = [aws_sfn_state_machine.pipeline]
}

resource "aws_s3_object" "configuration" {
  #checkov:skip=CKV_AWS_186:A customer key is the user's choice; the bucket encrypts with its own otherwise.
  bucket       = var.bucket_name
  key          = local.configuration_key
  content      = var.document
  content_type = "application/json"
  kms_key_id   = one(var.encryption[*].kms_key_arn)

  # An object takes ten tags at most, fewer than a provider's defaults may be.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # Its event starts the pipeline, so all that hears it or is started by it comes first.
  depends_on = [
    aws_cloudwatch_event_target.configuration,
    aws_lambda_function_event_invoke_config.reconcile,
    aws_lambda_invocation.warehouse_role,
    aws_sfn_state_machine.pipeline,
  ]
}

# A bucket sends its first events minutes after they are switched on: the event alone may never come.
resource "aws_lambda_invocation" "reconcile" {
  function_name = var.function_arns["reconcile"]
  input         = jsonencode({})
  triggers = {
    document = sha256(var.document)
  }

  depends_on = [aws_s3_object.configuration]
}
