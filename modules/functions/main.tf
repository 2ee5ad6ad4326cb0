locals {
  # Lambda allocates CPU in proportion to memory. Functions that process rows get lambda.memory_mb.
  functions = { for key, function in {
    reconcile      = { timeout = 300, memory = 512 }
    warehouse_role = { timeout = 900, memory = 256 }
    prepare        = { timeout = 60, memory = 512 }
    statement      = { timeout = 60, memory = 512 }
    plan_history   = { timeout = 60, memory = 512 }
    train          = { timeout = 900, memory = var.lambda.memory_mb }
    activate       = { timeout = 900, memory = var.lambda.memory_mb }
    record_failure = { timeout = 60, memory = 256 }
    plan_crawl     = { timeout = 60, memory = 512 }
    detect         = { timeout = 900, memory = var.lambda.memory_mb }
    commit         = { timeout = 900, memory = var.lambda.memory_mb }
    deliver        = { timeout = 900, memory = var.lambda.memory_mb }
    stop           = { timeout = 600, memory = 256 }
    respond        = { timeout = 60, memory = 512 }
    console        = { timeout = 60, memory = var.lambda.memory_mb }
  } : key => function if key != "console" || var.console }
  names = { for key in keys(local.functions) : key => "${var.name}-${replace(key, "_", "-")}" }

  package_file = "${path.module}/../../lambda_src/dist/package.zip"
  # At most 8 + 32 + 12 characters and two hyphens; S3 allows 63.
  package_bucket = "package-${var.name}-${substr(sha256("${var.account_id}/${var.region}"), 0, 12)}"

  python_version = trimprefix(var.lambda.runtime, "python")
  # Looked up by path, so that a missing parameter is reported by the postcondition, which says what to do.
  layer_parameters = {
    sdk_for_pandas = {
      path = "/aws/service/aws-sdk-pandas/${var.lambda.sdk_for_pandas_version}/py${local.python_version}/${var.lambda.architecture}"
      name = "layer-arn"
    }
    powertools = {
      path = "/aws/service/powertools/python/${var.lambda.architecture}/${var.lambda.runtime}"
      name = var.lambda.powertools_version
    }
  }
  layers = (
    var.lambda.layers != null
    ? var.lambda.layers
    : [
      for key in ["sdk_for_pandas", "powertools"] :
      zipmap(data.aws_ssm_parameters_by_path.layer[key].names, nonsensitive(data.aws_ssm_parameters_by_path.layer[key].values))[
        "${local.layer_parameters[key].path}/${local.layer_parameters[key].name}"
      ]
    ]
  )

  environment = merge(
    {
      DETECTOR_NAME             = var.name
      LOG_LEVEL                 = var.logging.level
      LOG_ROW_VALUES            = tostring(var.logging.row_values)
      POWERTOOLS_LOG_LEVEL      = var.logging.level
      POWERTOOLS_SERVICE_NAME   = var.name
      POWERTOOLS_TRACE_DISABLED = tostring(!var.logging.tracing)
    },
    var.environment,
  )
}

data "aws_ssm_parameters_by_path" "layer" {
  for_each = var.lambda.layers == null ? local.layer_parameters : {}

  path = each.value.path

  lifecycle {
    postcondition {
      condition     = contains(self.names, "${each.value.path}/${each.value.name}")
      error_message = "There is no managed layer ${each.value.path}/${each.value.name} in this region. Set lambda.layers to the ARNs of your own layers that provide numpy, pyarrow, pydantic and Powertools (see layers.toml for the versions), or choose a layer version, runtime or architecture that exists in this region."
    }
  }
}

# The package has a bucket of its own: who may write documents or results must not be able to replace code.
resource "aws_s3_bucket" "package" {
  #checkov:skip=CKV_AWS_18:Access logs need a separate bucket; CloudTrail data events can be enabled for this one.
  #checkov:skip=CKV_AWS_21:The only object is a file of the module.
  #checkov:skip=CKV_AWS_144:The functions belong to one region.
  #checkov:skip=CKV_AWS_145:A customer managed key is an input (encryption); without one, S3 encrypts with its own keys.
  #checkov:skip=CKV2_AWS_61:The only object is kept as long as the functions.
  #checkov:skip=CKV2_AWS_62:Nothing has to be notified of the package.
  count = var.lambda.package == null ? 1 : 0

  bucket        = local.package_bucket
  force_destroy = true
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "package" {
  count = length(aws_s3_bucket.package)

  bucket                  = aws_s3_bucket.package[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "package" {
  count = length(aws_s3_bucket.package)

  bucket = aws_s3_bucket.package[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "package" {
  count = length(aws_s3_bucket.package)

  bucket = aws_s3_bucket.package[0].id

  rule {
    bucket_key_enabled = var.encryption != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption == null ? "AES256" : "aws:kms"
      kms_master_key_id = try(var.encryption.kms_key_arn, null)
    }
  }
}

data "aws_iam_policy_document" "package" {
  count = length(aws_s3_bucket.package)

  statement {
    sid       = "DenyWithoutTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.package[0].arn, "${aws_s3_bucket.package[0].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "package" {
  count = length(aws_s3_bucket.package)

  bucket = aws_s3_bucket.package[0].id
  policy = data.aws_iam_policy_document.package[0].json

  # S3 rejects concurrent changes of a bucket's access settings.
  depends_on = [aws_s3_bucket_public_access_block.package]
}

# Uploaded once to S3: the provider creates functions with a local package one after the other, five seconds each.
resource "aws_s3_object" "package" {
  #checkov:skip=CKV_AWS_186:A customer managed key is an input (encryption); without one, S3 encrypts with its own keys.
  count = var.lambda.package == null ? 1 : 0

  bucket      = aws_s3_bucket.package[0].bucket
  key         = "anomaly_detector.zip"
  source      = local.package_file
  source_hash = filebase64sha256(local.package_file)
  kms_key_id  = one(var.encryption[*].kms_key_arn)

  # An object can have at most ten tags, and the provider's default_tags may be more.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:A customer managed key is an input (encryption); without one, CloudWatch Logs encrypts with its own key.
  #checkov:skip=CKV_AWS_338:Retention is an input (logging), a year by default.
  for_each = local.functions

  name              = "/aws/lambda/${local.names[each.key]}"
  retention_in_days = var.logging.retention_days
  kms_key_id        = one(var.encryption[*].kms_key_arn)
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:Tracing is an input (logging), enabled by default.
  #checkov:skip=CKV_AWS_115:Reserved concurrency would be taken from the account's other functions; the state machines limit concurrency.
  #checkov:skip=CKV_AWS_116:Only reconcile, record_failure and statement are invoked asynchronously; modules/pipeline configures their failure destination.
  #checkov:skip=CKV_AWS_117:The functions call AWS APIs only; the Data API needs no access to the warehouse's network.
  #checkov:skip=CKV_AWS_173:A customer managed key is an input (encryption); the environment contains names and ARNs, no secrets.
  #checkov:skip=CKV_AWS_272:The package is part of the module and pinned by its hash.
  for_each = local.functions

  function_name = local.names[each.key]
  description   = "Function ${replace(each.key, "_", " ")} of the anomaly detector ${var.name}."
  role          = var.role_arns[each.key]

  runtime       = var.lambda.runtime
  architectures = [var.lambda.architecture]
  handler       = "anomaly_detector.handlers.${each.key}.handler"
  layers        = local.layers
  timeout       = each.value.timeout
  memory_size   = each.value.memory

  s3_bucket         = var.lambda.package == null ? aws_s3_object.package[0].bucket : var.lambda.package.bucket
  s3_key            = var.lambda.package == null ? aws_s3_object.package[0].key : var.lambda.package.key
  s3_object_version = try(var.lambda.package.version, null)
  source_code_hash  = var.lambda.package == null ? filebase64sha256(local.package_file) : var.lambda.package.hash

  kms_key_arn = one(var.encryption[*].kms_key_arn)

  environment {
    variables = local.environment
  }

  tracing_config {
    mode = var.logging.tracing ? "Active" : "PassThrough"
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this[each.key].name
  }

  tags = var.tags
}
