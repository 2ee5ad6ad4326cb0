mock_provider "aws" {
  mock_resource "aws_sfn_state_machine" {
    defaults = {
      arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop"
    }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = {
      arn = "arn:aws:events:eu-west-1:111122223333:rule/shop-configuration"
    }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:eu-west-1:111122223333:log-group:shop"
    }
  }
}

variables {
  name       = "shop"
  partition  = "aws"
  account_id = "111122223333"
  function_arns = {
    for key in [
      "reconcile", "warehouse_role", "prepare", "statement", "plan_history", "train", "activate", "deliver", "record_failure",
      "stop",
    ] : key => "arn:aws:lambda:eu-west-1:111122223333:function:shop-${replace(key, "_", "-")}"
  }
  machine_role_arns = {
    statement = "arn:aws:iam::111122223333:role/shop-statement-machine"
    pipeline  = "arn:aws:iam::111122223333:role/shop-pipeline-machine"
  }
  bucket_name = "shop-bucket"
  document    = "{\"name\":\"shop\"}"
  warehouse   = "{\"database\":\"prod\"}"
  attach = {
    create             = true
    cluster_identifier = "warehouse"
    role_arn           = "arn:aws:iam::111122223333:role/shop-unload"
    function_role_name = "shop-warehouse-role"
    policy             = "{}"
  }
  dead_letter_queue_arn = "arn:aws:sqs:eu-west-1:111122223333:shop-dead-letters"
  history_parallelism   = 4
  retry = {
    function  = "[{\"ErrorEquals\":[\"RetryableError\"]}]"
    execution = "[{\"ErrorEquals\":[\"StepFunctions.ThrottlingException\"]}]"
  }
  logging    = { retention_days = 365, tracing = true }
  encryption = null
  tags       = {}
}

run "machines" {
  command = apply

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = aws_sfn_state_machine.statement.name == "shop-statement" && aws_sfn_state_machine.pipeline.name == "shop-pipeline"
    error_message = "The machines have the names that roles and functions expect."
  }

  assert {
    condition = alltrue([
      for machine in [aws_sfn_state_machine.statement, aws_sfn_state_machine.pipeline] :
      machine.logging_configuration[0].level == "ERROR" && !machine.logging_configuration[0].include_execution_data
      && machine.tracing_configuration[0].enabled
    ])
    error_message = "Errors are logged without data, and executions are traced."
  }

  assert {
    condition     = alltrue([for key, group in aws_cloudwatch_log_group.this : group.name == "/aws/vendedlogs/states/shop-${key}"])
    error_message = "Log groups have the prefix of vended logs."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.pipeline.definition).States.UnloadHistory.MaxConcurrency == 4
    error_message = "Four pieces of history are unloaded at a time by default."
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.pipeline.definition).States.CheckColumns.Parameters.StateMachineArn
      == aws_sfn_state_machine.statement.arn
    )
    error_message = "Statements run in their own machine."
  }
}

run "configuration_is_heard_and_reconciled" {
  command = apply

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.configuration.event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail      = { bucket = { name = ["shop-bucket"] }, object = { key = ["config/detector.json"] } }
    }
    error_message = "The rule hears the one object of the one bucket."
  }

  assert {
    condition = (
      aws_lambda_permission.configuration.source_arn == aws_cloudwatch_event_rule.configuration.arn
      && aws_lambda_permission.configuration.source_account == "111122223333"
    )
    error_message = "Only the rule may invoke the function."
  }

  assert {
    condition = (
      aws_cloudwatch_event_target.configuration.dead_letter_config[0].arn == var.dead_letter_queue_arn
      && aws_lambda_function_event_invoke_config.this["reconcile"].destination_config[0].on_failure[0].destination == var.dead_letter_queue_arn
    )
    error_message = "Events that fail are kept, before and after they reach the function."
  }

  assert {
    condition = (
      aws_s3_object.configuration.content == var.document && aws_s3_object.configuration.content_type == "application/json"
      && output.configuration_key == "config/detector.json"
    )
    error_message = "The document is written as it is given."
  }

  assert {
    condition     = aws_lambda_invocation.reconcile.triggers == tomap({ document = sha256(var.document), warehouse = sha256(var.warehouse) })
    error_message = "A changed document is reconciled, and the same document for another warehouse."
  }
}

run "the_role_is_attached" {
  command = apply

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = (
      coalesce(aws_lambda_invocation.attach[0].lifecycle_scope, "CREATE_ONLY") == "CREATE_ONLY"
      && jsondecode(aws_lambda_invocation.attach[0].input) == { action = "attach" }
      && jsondecode(aws_lambda_invocation.attach[0].triggers.place) == {
        cluster_identifier = "warehouse"
        workgroup_name     = null
        role_arn           = "arn:aws:iam::111122223333:role/shop-unload"
      }
    )
    error_message = "The role is attached whenever role or warehouse change."
  }

  assert {
    condition = (
      aws_lambda_invocation.detach[0].lifecycle_scope == "CRUD"
      && jsondecode(aws_lambda_invocation.detach[0].input).action == "detach"
      && jsondecode(aws_lambda_invocation.detach[0].input).place == jsondecode(aws_lambda_invocation.attach[0].triggers.place)
      && aws_lambda_invocation.detach[0].triggers == tomap({ role_arn = "arn:aws:iam::111122223333:role/shop-unload" })
    )
    error_message = "The role is detached at destroy, from another warehouse by an update, and before it is replaced."
  }

  assert {
    condition = jsondecode(aws_sfn_state_machine.statement.definition).States.Attach.Parameters == {
      action        = "attach"
      "execution.$" = "$$.Execution.Id"
    }
    error_message = "A statement that fails without the role attaches it again; the function knows which role, and to what."
  }
}

run "statements_are_cancelled" {
  command = apply

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.ended.event_pattern) == {
      source      = ["aws.states"]
      detail-type = ["Step Functions Execution Status Change"]
      detail = {
        stateMachineArn = [aws_sfn_state_machine.statement.arn]
        status          = ["ABORTED", "FAILED", "TIMED_OUT"]
      }
    }
    error_message = "Every end of a statement's execution but success is heard of."
  }

  assert {
    condition = (
      aws_cloudwatch_event_target.ended.arn == var.function_arns["statement"]
      && jsondecode(aws_cloudwatch_event_target.ended.input_transformer[0].input_template) == {
        action     = "cancel"
        executions = ["<execution>"]
      }
      && aws_lambda_permission.ended.source_arn == aws_cloudwatch_event_rule.ended.arn
      && aws_cloudwatch_event_target.ended.dead_letter_config[0].arn == var.dead_letter_queue_arn
      && aws_lambda_function_event_invoke_config.this["statement"].destination_config[0].on_failure[0].destination == var.dead_letter_queue_arn
    )
    error_message = "The function that owns the statement is told which execution ended; what fails is kept."
  }

  assert {
    condition = (
      aws_lambda_invocation.stop.lifecycle_scope == "CRUD"
      && jsondecode(aws_lambda_invocation.stop.input).statement_function == var.function_arns["statement"]
      && length(jsondecode(aws_lambda_invocation.stop.input).machine_arns) == 2
      && alltrue([
        for machine in [aws_sfn_state_machine.statement, aws_sfn_state_machine.pipeline] : machine.timeouts.delete == "30m"
      ])
    )
    error_message = "At destroy, executions are stopped and statements cancelled, and machines are given time."
  }
}

run "a_given_role_is_not_attached" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    attach              = { create = false, workgroup_name = "warehouse" }
    history_parallelism = 9
  }

  assert {
    condition = length(concat(
      aws_lambda_invocation.attach, aws_lambda_invocation.detach, aws_iam_role_policy.detach,
    )) == 0
    error_message = "The warehouse of a user who gives the role is left alone."
  }
}

run "encrypted_and_untraced" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    encryption = { kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1" }
    logging    = { retention_days = 30, tracing = false }
  }

  assert {
    condition = alltrue([
      for group in aws_cloudwatch_log_group.this :
      group.kms_key_id == "arn:aws:kms:eu-west-1:111122223333:key/1" && group.retention_in_days == 30
    ]) && aws_s3_object.configuration.kms_key_id == "arn:aws:kms:eu-west-1:111122223333:key/1"
    error_message = "Logs and document are encrypted with the key."
  }

  assert {
    condition     = !aws_sfn_state_machine.statement.tracing_configuration[0].enabled
    error_message = "Tracing can be switched off."
  }
}
