locals {
  # At most 32 + 12 + 14 characters and two hyphens; S3 allows 63.
  bucket_name = coalesce(var.bucket_name, "${var.name}-${var.account_id}-${var.region}")

  lifecycle_rules = {
    landed-history = { prefix = "history/", days = var.history_retention_days }
    landed-live    = { prefix = "live/", days = var.live_retention_days }
    results        = { prefix = "results/", days = var.results_retention_days }
    statements     = { prefix = "statements/", days = var.results_retention_days }
  }

  # The last role of a chain writes. A role of another account needs permission by the bucket policy as well as by its own policy.
  unload_writer_arn = reverse(split(",", coalesce(var.unload_role_arn, "default")))[0]
  foreign_writer = (
    startswith(local.unload_writer_arn, "arn:") && try(split(":", local.unload_writer_arn)[4], "") != var.account_id ? [local.unload_writer_arn] : []
  )

  # Columns that lake/results.py in the package writes, and services/statement.py those of `statements`.
  tables = {
    scores = concat(
      [
        { name = "interval_start", type = "timestamp" },
        { name = "measure", type = "string" },
      ],
      [for name in var.dimensions : { name = lower(name), type = "string" }],
      [for name in ["actual", "expected", "lower", "upper", "severity"] : { name = name, type = "double" }],
      [
        { name = "direction", type = "string" },
        { name = "anomalous", type = "boolean" },
      ],
    )
    anomalies = [
      { name = "group_id", type = "string" },
      { name = "measure", type = "string" },
      { name = "start_time", type = "timestamp" },
      { name = "end_time", type = "timestamp" },
      { name = "severity", type = "double" },
      { name = "direction", type = "string" },
      { name = "state", type = "string" },
      { name = "actual", type = "double" },
      { name = "expected", type = "double" },
      { name = "series_count", type = "int" },
      { name = "kind", type = "string" },
      { name = "slices", type = "string" },
      { name = "root_cause", type = "string" },
    ]
    contributions = [
      { name = "group_id", type = "string" },
      { name = "measure", type = "string" },
      { name = "start_time", type = "timestamp" },
      { name = "dimension", type = "string" },
      { name = "value", type = "string" },
      { name = "contribution", type = "double" },
    ]
    statements = [
      { name = "statement_id", type = "string" },
      { name = "purpose", type = "string" },
      { name = "status", type = "string" },
      { name = "started_at", type = "string" },
      { name = "milliseconds", type = "bigint" },
      { name = "row_count", type = "bigint" },
      { name = "byte_count", type = "bigint" },
    ]
  }

  formats = {
    parquet = {
      input  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
      output = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
      serde  = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }
    json = {
      input  = "org.apache.hadoop.mapred.TextInputFormat"
      output = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde  = "org.openx.data.jsonserde.JsonSerDe"
    }
  }
  of_table = {
    for name in keys(local.tables) : name => merge(
      local.formats[name == "statements" ? "json" : "parquet"],
      { classification = name == "statements" ? "json" : "parquet", prefix = name == "statements" ? name : "results/${name}" },
    )
  }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Access logs need a separate bucket; CloudTrail data events can be enabled for this one.
  #checkov:skip=CKV_AWS_21:All contents can be loaded or computed again, and each configuration is stored under its hash.
  #checkov:skip=CKV_AWS_144:Results belong to one region, like the warehouse.
  #checkov:skip=CKV_AWS_145:A customer managed key is an input (encryption); without one, S3 encrypts with its own keys.
  bucket        = local.bucket_name
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = var.encryption != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption == null ? "AES256" : "aws:kms"
      kms_master_key_id = try(var.encryption.kms_key_arn, null)
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "DenyWithoutTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]

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

  dynamic "statement" {
    for_each = var.configuration_writer_arns == null ? {} : { writers = var.configuration_writer_arns }
    content {
      sid       = "DenyConfigurationOfOthers"
      effect    = "Deny"
      actions   = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"]
      resources = ["${aws_s3_bucket.this.arn}/config/*"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = local.foreign_writer
    content {
      sid       = "LookAtTheBucketFromAnotherAccount"
      actions   = ["s3:GetBucketLocation", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
      resources = [aws_s3_bucket.this.arn]

      principals {
        type        = "AWS"
        identifiers = [statement.value]
      }
    }
  }

  dynamic "statement" {
    for_each = local.foreign_writer
    content {
      # The bucket owner owns the objects that the role writes (BucketOwnerEnforced).
      sid       = "WriteWhatIsUnloadedFromAnotherAccount"
      actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      resources = ["${aws_s3_bucket.this.arn}/history/*", "${aws_s3_bucket.this.arn}/live/*"]

      principals {
        type        = "AWS"
        identifiers = [statement.value]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = data.aws_iam_policy_document.bucket.json

  # S3 rejects concurrent changes of a bucket's access settings.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = { for id, rule in local.lifecycle_rules : id => rule if rule.days != null }

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      expiration {
        days = rule.value.days
      }
    }
  }
}

resource "aws_s3_bucket_notification" "this" {
  bucket      = aws_s3_bucket.this.id
  eventbridge = true
}

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_28:Point-in-time recovery is an input (point_in_time_recovery), enabled by default.
  #checkov:skip=CKV_AWS_119:A customer managed key is an input (encryption); without one, DynamoDB encrypts with its own key.
  name         = "${var.name}-state"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"
  tags         = var.tags

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  dynamic "server_side_encryption" {
    for_each = var.encryption == null ? {} : { this = var.encryption.kms_key_arn }

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }
}

resource "aws_glue_catalog_database" "this" {
  # In Athena, a name with a hyphen would have to be quoted.
  name        = replace("${var.name}-results", "-", "_")
  description = "Results of the anomaly detector ${var.name}"
  tags        = var.tags
}

resource "aws_glue_catalog_table" "results" {
  for_each = local.tables

  name          = each.key
  database_name = aws_glue_catalog_database.this.name
  description   = "${title(each.key)} of the anomaly detector ${var.name}, in UTC"
  table_type    = "EXTERNAL_TABLE"

  # Partition projection: Athena computes the partitions, so neither a crawler nor catalogue updates are needed.
  parameters = {
    EXTERNAL                        = "TRUE"
    classification                  = local.of_table[each.key].classification
    "projection.enabled"            = "true"
    "projection.date.type"          = "date"
    "projection.date.format"        = "yyyy-MM-dd"
    "projection.date.range"         = "${var.results_since},NOW"
    "projection.date.interval"      = "1"
    "projection.date.interval.unit" = "DAYS"
    "storage.location.template"     = "s3://${aws_s3_bucket.this.id}/${local.of_table[each.key].prefix}/date=$${date}/"
  }

  partition_keys {
    name = "date"
    type = "string"
  }

  storage_descriptor {
    location      = "s3://${aws_s3_bucket.this.id}/${local.of_table[each.key].prefix}/"
    input_format  = local.of_table[each.key].input
    output_format = local.of_table[each.key].output

    ser_de_info {
      serialization_library = local.of_table[each.key].serde
    }

    dynamic "columns" {
      for_each = each.value

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

# Each file begins with a comment that says what it answers.
locals {
  dimension_columns = [for name in var.dimensions : format("\"%s\"", replace(lower(name), "\"", "\"\""))]
  queries = {
    for file in fileset("${path.module}/queries", "*.sql") : trimsuffix(file, ".sql") => templatefile("${path.module}/queries/${file}", merge(
      {
        slice = join("", [for column in local.dimension_columns : ", ${column}"])
        total = join(" AND ", concat(["true"], [for column in local.dimension_columns : "${column} = '*'"]))
        leaf  = join(" AND ", concat(["true"], [for column in local.dimension_columns : "${column} <> '*'"]))
      },
      # The partition is a text.
      { for days in [7, 30, 90] : "since_${days}_days" => "CAST(CAST(current_date - INTERVAL '${days}' DAY AS date) AS varchar)" },
    ))
  }
}

resource "aws_athena_named_query" "this" {
  for_each = local.queries

  name        = "${var.name}-${each.key}"
  description = trimprefix(split("\n", each.value)[0], "-- ")
  workgroup   = var.athena_workgroup
  database    = aws_glue_catalog_database.this.name
  query       = each.value
}
