mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}

mock_data "aws_region" {
  defaults = {
    id = "eu-west-1"
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
      "arn:aws:lambda:eu-west-1:123456789012:layer:layer:1",
      "arn:aws:lambda:eu-west-1:123456789012:layer:layer:1",
    ]
  }
}

mock_data "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:found-by-name-AbCdEf"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    arn = "arn:aws:s3:::bucket"
    id  = "bucket"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/shop"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:eu-west-1:123456789012:topic"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-west-1:123456789012:shop-dead-letters"
    id  = "https://sqs.eu-west-1.amazonaws.com/123456789012/shop-dead-letters"
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/shop-dead-letters"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/role"
  }
}

mock_resource "aws_iam_policy" {
  defaults = {
    arn = "arn:aws:iam::123456789012:policy/policy"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
  }
}

# Random text may start with a digit, which no identifier of a cluster does.
mock_resource "aws_redshift_cluster" {
  defaults = {
    id = "warehouse"
  }
}

mock_resource "aws_lambda_layer_version" {
  defaults = {
    arn = "arn:aws:lambda:eu-west-1:123456789012:layer:mine:1"
  }
}

mock_resource "aws_sfn_state_machine" {
  defaults = {
    arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:machine"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:group"
  }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws:events:eu-west-1:123456789012:rule/rule"
  }
}

mock_resource "aws_scheduler_schedule_group" {
  defaults = {
    arn = "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/shop"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:made-AbCdEf"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  }
}

mock_data "aws_availability_zones" {
  defaults = {
    names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  }
}

mock_data "aws_redshiftserverless_workgroup" {
  defaults = {
    arn            = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0a1b2c3d"
    namespace_name = "analytics-namespace"
  }
}

mock_data "aws_redshiftserverless_namespace" {
  defaults = {
    arn       = "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/4e5f6a7b"
    iam_roles = ["arn:aws:iam::123456789012:role/etl"]
  }
}

mock_resource "aws_redshiftserverless_workgroup" {
  defaults = {
    id  = "mine"
    arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0a1b2c3d"
  }
}

mock_resource "aws_redshiftserverless_namespace" {
  defaults = {
    arn                       = "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/4e5f6a7b"
    admin_password_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:redshift!made-AbCdEf"
  }
}
