mock_provider "aws" {}

variables {
  name = "shop"
  role_arns = {
    for key in [
      "reconcile", "warehouse_role", "prepare", "statement", "plan_history", "train", "activate", "record_failure",
      "plan_crawl", "detect", "commit", "deliver", "stop", "respond",
    ] : key => "arn:aws:iam::111122223333:role/shop-${replace(key, "_", "-")}"
  }
  console     = false
  environment = { TABLE_NAME = "shop" }
  region      = "eu-west-1"
  account_id  = "111122223333"
  # The package itself has its own test; here another file of the repository stands in for one in S3.
  lambda = {
    runtime                = "python3.13"
    architecture           = "arm64"
    memory_mb              = 1769
    sdk_for_pandas_version = "3.13.0"
    powertools_version     = "3.22.1"
    package                = { bucket = "packages", key = "package.zip", version = "1", hash = "aGFzaA==" }
    layers                 = []
  }
  logging    = { retention_days = 365, level = "INFO", tracing = true, row_values = false }
  encryption = null
  tags       = {}
}

run "fourteen_functions_of_their_own_role" {
  command = plan

  module {
    source = "./modules/functions"
  }

  assert {
    condition = alltrue([
      for key, function in aws_lambda_function.this :
      function.role == var.role_arns[key]
      && function.handler == "anomaly_detector.handlers.${key}.handler"
      && function.function_name == "shop-${replace(key, "_", "-")}"
    ]) && length(aws_lambda_function.this) == 14
    error_message = "Each of the fourteen functions has its handler, its name and its role."
  }

  assert {
    condition = alltrue([
      for key, group in aws_cloudwatch_log_group.this :
      group.name == "/aws/lambda/${aws_lambda_function.this[key].function_name}" && group.retention_in_days == 365
    ]) && length(aws_cloudwatch_log_group.this) == 14
    error_message = "Each function has a log group with a retention."
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.environment[0].variables.TABLE_NAME == "shop" && function.environment[0].variables.POWERTOOLS_SERVICE_NAME == "shop"
    ])
    error_message = "Every function gets the whole environment."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.environment[0].variables.LOG_ROW_VALUES == "false"])
    error_message = "Values of rows are not logged unless that is asked for."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.timeout <= 900 && function.memory_size >= 128])
    error_message = "Lambda's limits hold."
  }
}

run "runtime_and_layers" {
  command = plan

  module {
    source = "./modules/functions"
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.runtime == "python3.13" && function.architectures == tolist(["arm64"]) && function.tracing_config[0].mode == "Active"
    ])
    error_message = "The functions run as they are told to."
  }

  assert {
    condition     = length(data.aws_ssm_parameters_by_path.layer) == 0 && alltrue([for function in aws_lambda_function.this : length(function.layers) == 0])
    error_message = "An empty list of layers means none."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.kms_key_arn == null])
    error_message = "Without a key AWS's own is used."
  }
}

run "given_layers_key_and_package" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    lambda = {
      runtime                = "python3.13"
      sdk_for_pandas_version = "3.13.0"
      powertools_version     = "3.22.1"
      architecture           = "x86_64"
      memory_mb              = 3008
      layers                 = ["arn:aws:lambda:eu-west-1:111122223333:layer:all:1"]
      package                = { bucket = "packages", key = "package.zip", version = "1", hash = "aGFzaA==" }
    }
    encryption = { kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1" }
    logging    = { retention_days = 30, level = "DEBUG", tracing = false, row_values = true }
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.layers == tolist(["arn:aws:lambda:eu-west-1:111122223333:layer:all:1"])
      && function.kms_key_arn == "arn:aws:kms:eu-west-1:111122223333:key/1"
      && function.s3_bucket == "packages" && function.s3_object_version == "1" && function.source_code_hash == "aGFzaA=="
      && function.architectures == tolist(["x86_64"])
      && function.tracing_config[0].mode == "PassThrough"
      && function.environment[0].variables.POWERTOOLS_LOG_LEVEL == "DEBUG"
      && function.environment[0].variables.LOG_ROW_VALUES == "true"
    ])
    error_message = "What is given reaches every function."
  }

  assert {
    condition     = length(aws_s3_bucket.package) + length(aws_s3_object.package) == 0
    error_message = "A package that is given needs no bucket."
  }

  assert {
    condition = alltrue([
      for key in ["train", "activate", "detect", "commit", "deliver"] : aws_lambda_function.this[key].memory_size == 3008
    ])
    error_message = "The functions that compute have the memory that is given."
  }

  assert {
    condition = alltrue([
      for group in aws_cloudwatch_log_group.this :
      group.kms_key_id == "arn:aws:kms:eu-west-1:111122223333:key/1" && group.retention_in_days == 30
    ])
    error_message = "Logs are encrypted with the key and kept as long as is given."
  }
}

run "layers_from_systems_manager" {
  command = apply

  module {
    source = "./modules/functions"
  }

  variables {
    lambda = {
      package                = { bucket = "packages", key = "package.zip", hash = "aGFzaA==" }
      memory_mb              = 1769
      architecture           = "x86_64"
      runtime                = "python3.12"
      sdk_for_pandas_version = "3.13.0"
      powertools_version     = "3.22.1"
    }
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.layer
    values = {
      names = [
        "/aws/service/aws-sdk-pandas/3.13.0/py3.12/x86_64/layer-arn",
        "/aws/service/powertools/python/x86_64/python3.12/3.21.0",
        "/aws/service/powertools/python/x86_64/python3.12/3.22.1",
        "/aws/service/powertools/python/x86_64/python3.12/latest",
      ]
      values = [
        "arn:aws:lambda:eu-west-1:222233334444:layer:pandas:7",
        "arn:aws:lambda:eu-west-1:222233334444:layer:powertools:6",
        "arn:aws:lambda:eu-west-1:222233334444:layer:powertools:7",
        "arn:aws:lambda:eu-west-1:222233334444:layer:powertools:8",
      ]
    }
  }

  assert {
    condition = toset([for folder in data.aws_ssm_parameters_by_path.layer : folder.path]) == toset([
      "/aws/service/aws-sdk-pandas/3.13.0/py3.12/x86_64",
      "/aws/service/powertools/python/x86_64/python3.12",
    ])
    error_message = "The folders of parameters name version, runtime and architecture."
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this : function.layers == tolist([
        "arn:aws:lambda:eu-west-1:222233334444:layer:pandas:7", "arn:aws:lambda:eu-west-1:222233334444:layer:powertools:7",
      ])
    ])
    error_message = "Both layers are attached, each in the version that was asked for."
  }
}

run "region_without_the_layers" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    lambda = {
      package                = { bucket = "packages", key = "package.zip", hash = "aGFzaA==" }
      architecture           = "arm64"
      memory_mb              = 1769
      runtime                = "python3.13"
      sdk_for_pandas_version = "3.17.1"
      powertools_version     = "3.34.0"
    }
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.layer
    values = {
      names  = []
      values = []
    }
  }

  expect_failures = [data.aws_ssm_parameters_by_path.layer]
}
