mock_data "aws_partition" {
  defaults = {
    partition = "aws-us-gov"
  }
}

mock_data "aws_region" {
  defaults = {
    id = "us-gov-west-1"
  }
}

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}

mock_data "aws_iam_policy_document" {
  defaults = {
    json = "{}"
  }
}

mock_data "aws_ssm_parameters_by_path" {
  defaults = {
    names = [
      "/aws/service/aws-sdk-pandas/3.17.1/py3.13/arm64/layer-arn",
      "/aws/service/powertools/python/arm64/python3.13/3.34.0",
    ]
    values = [
      "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:layer:layer:1",
      "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:layer:layer:1",
    ]
  }
}

mock_data "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:found-by-name-AbCdEf"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    arn = "arn:aws-us-gov:s3:::bucket"
    id  = "bucket"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn = "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/shop"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws-us-gov:sns:us-gov-west-1:123456789012:topic"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:shop-dead-letters"
    id  = "https://sqs.us-gov-west-1.amazonaws.com/123456789012/shop-dead-letters"
    url = "https://sqs.us-gov-west-1.amazonaws.com/123456789012/shop-dead-letters"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws-us-gov:iam::123456789012:role/role"
  }
}

mock_resource "aws_iam_policy" {
  defaults = {
    arn = "arn:aws-us-gov:iam::123456789012:policy/policy"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:function"
  }
}

mock_resource "aws_sfn_state_machine" {
  defaults = {
    arn = "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:machine"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:group"
  }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws-us-gov:events:us-gov-west-1:123456789012:rule/rule"
  }
}

mock_resource "aws_scheduler_schedule_group" {
  defaults = {
    arn = "arn:aws-us-gov:scheduler:us-gov-west-1:123456789012:schedule-group/shop"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:made-AbCdEf"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  }
}

mock_data "aws_redshiftserverless_workgroup" {
  defaults = {
    arn            = "arn:aws-us-gov:redshift-serverless:us-gov-west-1:123456789012:workgroup/0a1b2c3d"
    namespace_name = "analytics-namespace"
  }
}

mock_data "aws_redshiftserverless_namespace" {
  defaults = {
    arn       = "arn:aws-us-gov:redshift-serverless:us-gov-west-1:123456789012:namespace/4e5f6a7b"
    iam_roles = ["arn:aws-us-gov:iam::123456789012:role/etl"]
  }
}
