# A file of its own: a mocked machine keeps the ARN that it got in the file's first run.
mock_provider "aws" {
  mock_resource "aws_sfn_state_machine" {
    defaults = {
      arn = "arn:aws-us-gov:states:us-gov-west-1:111122223333:stateMachine:shop-statement"
    }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = {
      arn = "arn:aws-us-gov:events:us-gov-west-1:111122223333:rule/shop-configuration"
    }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws-us-gov:logs:us-gov-west-1:111122223333:log-group:shop"
    }
  }
}

variables {
  name       = "shop"
  partition  = "aws-us-gov"
  account_id = "111122223333"
  function_arns = {
    for key in [
      "reconcile", "warehouse_role", "prepare", "statement", "plan_history", "train", "activate", "deliver", "record_failure",
      "stop",
    ] : key => "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:shop-${replace(key, "_", "-")}"
  }
  machine_role_arns = {
    statement = "arn:aws-us-gov:iam::111122223333:role/shop-statement-machine"
    pipeline  = "arn:aws-us-gov:iam::111122223333:role/shop-pipeline-machine"
  }
  bucket_name = "shop-bucket"
  document    = "{\"name\":\"shop\"}"
  warehouse   = "{\"database\":\"prod\"}"
  attach = {
    create             = true
    workgroup_name     = "warehouse"
    role_arn           = "arn:aws-us-gov:iam::111122223333:role/shop-unload"
    function_role_name = "shop-warehouse-role"
    policy             = "{}"
  }
  dead_letter_queue_arn = "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:shop-dead-letters"
  history_parallelism   = 4
  retry = {
    function  = "[{\"ErrorEquals\":[\"RetryableError\"]}]"
    execution = "[{\"ErrorEquals\":[\"StepFunctions.ThrottlingException\"]}]"
  }
  logging    = { retention_days = 365, tracing = true }
  encryption = null
  tags       = {}
}

run "govcloud" {
  command = apply

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = (
      !strcontains(aws_sfn_state_machine.pipeline.definition, "arn:aws:")
      && !strcontains(aws_sfn_state_machine.statement.definition, "arn:aws:")
    )
    error_message = "No ARN is of another partition."
  }
}
