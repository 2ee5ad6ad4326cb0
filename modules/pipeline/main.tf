locals {
  configuration_key = "config/detector.json"
  machines          = ["statement", "pipeline"]

  # The UNLOAD role and the warehouse that it is attached to.
  place = {
    cluster_identifier = var.attach.cluster_identifier
    workgroup_name     = var.attach.workgroup_name
    role_arn           = var.attach.role_arn
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:A customer managed key is an input (encryption); without one, CloudWatch Logs encrypts with its own key.
  #checkov:skip=CKV_AWS_338:Retention is an input (logging), a year by default.
  for_each = toset(local.machines)

  # Log groups with this prefix need no entry in the account's resource policy for log delivery, whose size is limited.
  name              = "/aws/vendedlogs/states/${var.name}-${each.key}"
  retention_in_days = var.logging.retention_days
  kms_key_id        = one(var.encryption[*].kms_key_arn)
  tags              = var.tags
}

resource "aws_sfn_state_machine" "statement" {
  #checkov:skip=CKV_AWS_284:Tracing is an input (logging), enabled by default.
  #checkov:skip=CKV_AWS_285:Errors are logged, without execution data, which may contain values from the warehouse.
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

  timeouts {
    delete = "30m"
  }

  tags = var.tags
}

resource "aws_sfn_state_machine" "pipeline" {
  #checkov:skip=CKV_AWS_284:Tracing is an input (logging), enabled by default.
  #checkov:skip=CKV_AWS_285:Errors are logged, without execution data, which may contain values from the warehouse.
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

  timeouts {
    delete = "30m"
  }

  tags = var.tags
}

# The warehouse continues a statement whose execution was stopped, failed or timed out. It must be cancelled, and only the
# function that submitted it can do so.
resource "aws_cloudwatch_event_rule" "ended" {
  name        = "${var.name}-statement-ended"
  description = "An execution of the statement machine of the anomaly detector ${var.name} ended without success: its statement is cancelled."
  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.statement.arn]
      status          = ["ABORTED", "FAILED", "TIMED_OUT"]
    }
  })
  tags = var.tags
}

resource "aws_lambda_permission" "ended" {
  statement_id   = "StatementExecutionEnded"
  action         = "lambda:InvokeFunction"
  function_name  = var.function_arns["statement"]
  principal      = "events.amazonaws.com"
  source_arn     = aws_cloudwatch_event_rule.ended.arn
  source_account = var.account_id
}

resource "aws_cloudwatch_event_target" "ended" {
  rule = aws_cloudwatch_event_rule.ended.name
  arn  = var.function_arns["statement"]

  input_transformer {
    input_paths = { execution = "$.detail.executionArn" }
    # Not jsonencode: it escapes "<" and ">".
    input_template = "{\"action\": \"cancel\", \"executions\": [\"<execution>\"]}"
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 10
  }

  dead_letter_config {
    arn = var.dead_letter_queue_arn
  }

  depends_on = [aws_lambda_permission.ended]
}

# aws_redshift_cluster_iam_roles would manage the warehouse's complete role list and detach the user's other roles. The function
# takes role and warehouse from its environment. Any change of them replaces this invocation, and a failed one is not kept in the
# Terraform state, so the next apply tries again.
resource "aws_lambda_invocation" "attach" {
  count = var.attach.create ? 1 : 0

  function_name = var.function_arns["warehouse_role"]
  input         = jsonencode({ action = "attach" })
  triggers      = { place = jsonencode(local.place) }

  # The state machines depend on the functions' policies.
  depends_on = [aws_sfn_state_machine.pipeline]
}

# Detaches the role at destroy, and from the previous warehouse if another one is configured. Terraform would store a failed
# update as done, so this invocation never fails: if the role cannot be detached, that is reported and the role stays attached.
resource "aws_lambda_invocation" "detach" {
  count = var.attach.create ? 1 : 0

  function_name   = var.function_arns["warehouse_role"]
  lifecycle_scope = "CRUD"
  input           = jsonencode({ action = "detach", place = local.place })

  # If the role is replaced, it is detached before it is deleted.
  triggers = { role_arn = var.attach.role_arn }

  # The role is attached to the new warehouse before it is detached from the old one.
  depends_on = [aws_lambda_invocation.attach]
}

# A second copy of the function's permissions on the warehouse. It changes only after the update above, which needs the
# permissions on the old warehouse.
resource "aws_iam_role_policy" "detach" {
  count = var.attach.create ? 1 : 0

  name   = "${var.name}-detach"
  role   = var.attach.function_role_name
  policy = var.attach.policy

  depends_on = [aws_lambda_invocation.detach]
}

# At destroy, stops running executions and cancels their statements: a state machine is deleted only when its executions have
# ended, and the warehouse would continue the statements. The dependency on the state machines keeps the functions' policies until then.
resource "aws_lambda_invocation" "stop" {
  function_name   = var.function_arns["stop"]
  lifecycle_scope = "CRUD"
  input = jsonencode({
    machine_arns       = [aws_sfn_state_machine.pipeline.arn, aws_sfn_state_machine.statement.arn]
    statement_function = var.function_arns["statement"]
  })

  # A running UNLOAD needs the role until it has ended.
  depends_on = [aws_lambda_invocation.detach]
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

  # At destroy, the target is deleted before running pipelines are stopped.
  depends_on = [aws_lambda_permission.configuration, aws_lambda_invocation.stop]
}

# The rules invoke the functions asynchronously, so Lambda, not EventBridge, retries a function that fails.
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = toset(["reconcile", "record_failure", "statement"])

  function_name                = var.function_arns[each.key]
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = var.dead_letter_queue_arn
    }
  }

  # Lambda checks whether the function may send to the queue; the state machines depend on the functions' policies.
  depends_on = [aws_sfn_state_machine.pipeline]
}

resource "aws_s3_object" "configuration" {
  #checkov:skip=CKV_AWS_186:A customer managed key is an input (encryption); without one, S3 encrypts with its own keys.
  bucket       = var.bucket_name
  key          = local.configuration_key
  content      = var.document
  content_type = "application/json"
  kms_key_id   = one(var.encryption[*].kms_key_arn)

  # An object can have at most ten tags, and the provider's default_tags may be more.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # Its event starts the pipeline, so everything that receives the event or is started by it must exist first.
  depends_on = [
    aws_cloudwatch_event_target.configuration,
    aws_lambda_function_event_invoke_config.this,
    aws_lambda_invocation.attach,
    aws_sfn_state_machine.pipeline,
  ]
}

# A bucket sends its first events only minutes after notifications are enabled, so the event may be lost.
resource "aws_lambda_invocation" "reconcile" {
  function_name = var.function_arns["reconcile"]
  input         = jsonencode({})
  triggers = {
    document  = sha256(var.document)
    warehouse = sha256(var.warehouse)
  }

  depends_on = [aws_s3_object.configuration]
}
