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
    place     = jsonencode(var.attach.create ? local.place : null)
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

  timeouts {
    delete = "30m"
  }

  tags = var.tags
}

# The warehouse goes on with a statement whose execution was stopped, failed or timed out: it has to be cancelled, which only
# the function can that sent it.
resource "aws_cloudwatch_event_rule" "ended" {
  name        = "${var.name}-statement-ended"
  description = "A statement of the anomaly detector ${var.name} is not waited for any more."
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
  statement_id   = "StatementIsNotWaitedFor"
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

# aws_redshift_cluster_iam_roles would own the warehouse's whole list and detach the user's other roles. Any change of the input
# replaces this invocation, and one that failed is not kept in the state: the next apply tries again.
resource "aws_lambda_invocation" "attach" {
  count = var.attach.create ? 1 : 0

  function_name = var.function_arns["warehouse_role"]
  input         = jsonencode({ action = "attach", place = local.place })

  # With the machines come the policies of the functions.
  depends_on = [aws_sfn_state_machine.pipeline]
}

# Detaches at destroy, and from the warehouse before where another one is configured. An update that fails would be kept in the
# state as done, so this one never fails: what could not be detached is reported and left.
resource "aws_lambda_invocation" "detach" {
  count = var.attach.create ? 1 : 0

  function_name   = var.function_arns["warehouse_role"]
  lifecycle_scope = "CRUD"
  input           = jsonencode({ action = "detach", place = local.place })

  # A role that is replaced is detached before it is deleted.
  triggers = { role_arn = var.attach.role_arn }

  # The new warehouse has the role before the old one loses it.
  depends_on = [aws_lambda_invocation.attach]
}

# The function's rights on the warehouse, once more: changed only after the update above, which needs them on the old one.
resource "aws_iam_role_policy" "detach" {
  count = var.attach.create ? 1 : 0

  name   = "${var.name}-detach"
  role   = var.attach.function_role_name
  policy = var.attach.policy

  depends_on = [aws_lambda_invocation.detach]
}

# Stops, at destroy, the executions that run, and cancels their statements: a state machine is deleted only when its executions
# have ended, and the warehouse would go on. With the machines come the policies of the functions, which have to outlive this.
resource "aws_lambda_invocation" "stop" {
  function_name   = var.function_arns["stop"]
  lifecycle_scope = "CRUD"
  input = jsonencode({
    machine_arns       = [aws_sfn_state_machine.pipeline.arn, aws_sfn_state_machine.statement.arn]
    statement_function = var.function_arns["statement"]
  })

  # A statement that unloads needs the role to the end.
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

  # At destroy, no more pipelines are started when those that run are stopped.
  depends_on = [aws_lambda_permission.configuration, aws_lambda_invocation.stop]
}

# The rules hand their events over; what then fails in a function is Lambda's to retry.
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = toset(["reconcile", "statement"])

  function_name                = var.function_arns[each.key]
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
    aws_lambda_function_event_invoke_config.this,
    aws_lambda_invocation.attach,
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
