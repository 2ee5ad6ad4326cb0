data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

# Looked up whenever params.json names one, used or not: whether secret_arn is given may be unknown at plan.
data "aws_secretsmanager_secret" "connector" {
  count = local.params.secret_name == null ? 0 : 1

  name = local.params.secret_name
}

# Rights are given on the one workgroup and namespace, whose ARNs end in ids that AWS makes up. The order of the conditions keeps
# the count known where the workgroup's name is not.
data "aws_redshiftserverless_workgroup" "this" {
  count = alltrue([var.redshift.serverless == null, var.redshift.workgroup_name != null]) ? 1 : 0

  workgroup_name = var.redshift.workgroup_name
}

data "aws_redshiftserverless_namespace" "this" {
  count = length(data.aws_redshiftserverless_workgroup.this)

  namespace_name = data.aws_redshiftserverless_workgroup.this[0].namespace_name
}

# What validations compare with; nothing here depends on an input.
locals {
  timezone_pattern = "^(UTC|[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+){1,2})$"

  # RESERVED_COLUMNS of the package's config.py.
  reserved_columns = ["interval_start", "measure", "actual", "expected", "lower", "upper", "severity", "direction", "anomalous", "date", "shard"]

  sql = {
    window_start = "\\{\\{\\s*window_start\\s*\\}\\}"
    window_end   = "\\{\\{\\s*window_end\\s*\\}\\}"
    placeholder  = "\\{\\{\\s*([^{}]*?)\\s*\\}\\}"
    select       = "(?is)^(\\s|\\x{FEFF}|--[^\\n]*(\\n|$)|/\\*.*?\\*/)*(select|with)\\b"
    # MAX_STATEMENT_BYTES of the package's warehouse/sql.py, which is counted on the whole statement; here only the query can be.
    bytes = 100000
    # Texts, quoted names and comments may hold semicolons. Whether a backslash escapes a quote is a setting of the session, so a
    # query is refused here only where a second statement is seen either way; the check of the query looks closer.
    tokens = [
      "/(?s)'([^'\\\\]|\\\\.|'')*'|\"[^\"]*\"|--[^\\n]*|\\/\\*.*?\\*\\/|\\$\\$.*?\\$\\$/",
      "/(?s)'([^']|'')*'|\"[^\"]*\"|--[^\\n]*|\\/\\*.*?\\*\\/|\\$\\$.*?\\$\\$/",
    ]
  }
}

# What the old connector's params.json says; null or empty where it is silent.
locals {
  connector      = try(jsondecode(var.params_json), {})
  connector_name = trim(replace(lower(try(tostring(local.connector.detector_name), "")), "/[^a-z0-9]+/", "-"), "-")

  params = {
    # A name that AWS would take but we would not is brought into our form, and stays unique where it is cut.
    name = (
      local.connector_name == "" ? null :
      length(local.connector_name) <= 32 ? local.connector_name :
      "${trimsuffix(substr(local.connector_name, 0, 25), "-")}-${substr(sha256(local.connector_name), 0, 6)}"
    )
    description      = try(coalesce(tostring(local.connector.detector_description)), null)
    interval         = try(coalesce(tostring(local.connector.detector_frequency)), null)
    timestamp_column = try({ name = tostring(local.connector.timestamp_column.ColumnName), format = null, timezone = "UTC" }, null)
    offset_seconds   = try(coalesce(tonumber(local.connector.offset)), 300)
    dimensions       = try(tolist([for name in local.connector.dimension_list : tostring(name)]), tolist([]))
    secret_name      = try(coalesce(tostring(local.connector.secret_name)), null)

    measures = {
      for metric in try([for metric in local.connector.metrics_set : metric], []) : metric.MetricName => {
        aggregation         = upper(metric.AggregationFunction)
        direction           = "both"
        min_absolute_change = 0
        min_relative_change = 0
      }
    }

    alerts = {
      for name in compact([try(tostring(local.connector.alert_name), "")]) : name => {
        threshold            = try(coalesce(tonumber(local.connector.alert_threshold)), 50)
        description          = try(coalesce(tostring(local.connector.alert_description)), null)
        sns_topic_arns       = []
        lambda_function_arns = compact([try(tostring(local.connector.alert_lambda_arn), "")])
        measures             = []
        dimension_filters    = {}
      }
    }
  }

  params_without_meaning = {
    database_type = "The warehouse is Amazon Redshift."
    metric_source = "Rows are unloaded as Parquet to the module's own bucket."
    s3_bucket     = "The module makes a bucket of its own; storage.bucket_name names it."
  }
  params_ignored = merge(
    { for key, reason in local.params_without_meaning : key => reason if can(local.connector[key]) },
    can(local.connector.timestamp_column.ColumnFormat) ? {
      "timestamp_column.ColumnFormat" = "It was the format in the CSV files; timestamp_column.format is for a text column in the warehouse."
    } : {},
    can(local.connector.alert_name) ? {} : {
      for key in ["alert_threshold", "alert_description", "alert_lambda_arn"] : key => "There is no alert_name." if can(local.connector[key])
    },
  )
}

# Explicit input, else params.json, else the default.
locals {
  name             = try(coalesce(var.name, local.params.name), "")
  description      = try(coalesce(var.description, local.params.description), null)
  interval         = try(coalesce(var.interval, local.params.interval), "")
  timestamp_column = var.timestamp_column == null ? local.params.timestamp_column : var.timestamp_column
  offset_seconds   = var.offset_seconds == null ? local.params.offset_seconds : var.offset_seconds
  measures         = var.measures == null ? local.params.measures : var.measures
  dimensions       = var.dimensions == null ? local.params.dimensions : var.dimensions
  alerts           = var.alerts == null ? local.params.alerts : var.alerts

  connector_secret_arn = try(data.aws_secretsmanager_secret.connector[0].arn, null)
  redshift = {
    cluster_identifier = var.redshift.cluster_identifier
    workgroup_name     = var.redshift.workgroup_name
    database           = var.redshift.database
    secret_arn         = var.redshift.db_user != null ? null : var.redshift.secret_arn == null ? local.connector_secret_arn : var.redshift.secret_arn
    secret_kms_key_arn = var.redshift.secret_kms_key_arn
    db_user            = var.redshift.db_user

    serverless = var.redshift.serverless != null ? var.redshift.serverless : one([
      for workgroup in data.aws_redshiftserverless_workgroup.this : {
        workgroup_arn = workgroup.arn
        namespace_arn = data.aws_redshiftserverless_namespace.this[0].arn
        # The API gives ARN and state of a role in either order; the provider keeps a state that follows the ARN.
        iam_role_arns = [for role in data.aws_redshiftserverless_namespace.this[0].iam_roles : split(", ", role)[0]]
      }
    ])
  }
}

# What the tasks of the state machines try again. Access is refused for up to two minutes after a role or key was changed;
# jitter halves these waits on average. A function that crashed or timed out may have met a bad host, or too little memory
# or time, which more attempts do not mend.
locals {
  backoff = { IntervalSeconds = 2, BackoffRate = 2, MaxAttempts = 7, MaxDelaySeconds = 60, JitterStrategy = "FULL" }
  retry = {
    function = jsonencode([
      merge(local.backoff, {
        ErrorEquals = [
          "RetryableError",
          "Lambda.AccessDeniedException",
          "Lambda.AWSLambdaException",
          "Lambda.ClientExecutionTimeoutException",
          "Lambda.KMSAccessDeniedException",
          "Lambda.ResourceConflictException",
          "Lambda.ResourceNotReadyException",
          "Lambda.SdkClientException",
          "Lambda.ServiceException",
          "Lambda.TooManyRequestsException",
        ]
      }),
      merge(local.backoff, { ErrorEquals = ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"], MaxAttempts = 2 }),
    ])
    execution = jsonencode([
      merge(local.backoff, {
        ErrorEquals = [
          "StepFunctions.AccessDeniedException",
          "StepFunctions.AWSStepFunctionsException",
          "StepFunctions.ExecutionLimitExceeded",
          "StepFunctions.ExecutionLimitExceededException",
          "StepFunctions.SdkClientException",
          "StepFunctions.ThrottlingException",
        ]
      }),
    ])
  }
}

# Read once and passed down. ARNs are built from names where a module that comes later makes the resource.
locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  # Provider 5 has no `region` there, and 6.47 deprecates `id`: looked up by name, neither fails nor warns.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "id", null))

  # The roles need not wait for the queue, which takes half a minute.
  dead_letter_queue_arn = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.name}-dead-letters"

  machine_arn = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.name}"

  document = jsonencode({
    name                  = local.name
    description           = local.description
    interval              = local.interval
    timezone              = var.timezone
    offset_seconds        = local.offset_seconds
    lookback_intervals    = var.lookback_intervals
    timestamp_column      = local.timestamp_column
    measures              = local.measures
    dimensions            = local.dimensions
    dimension_filters     = var.dimension_filters
    rollups               = var.rollups
    false_events_per_week = var.false_events_per_week
    max_series            = var.max_series
    shards                = var.shards
    query                 = var.query
    history_query         = var.history_query
    history               = var.history

    redshift = {
      cluster_identifier = local.redshift.cluster_identifier
      workgroup_name     = local.redshift.workgroup_name
      database           = local.redshift.database
      secret_arn         = local.redshift.secret_arn
      db_user            = local.redshift.db_user
      unload_role        = module.iam.unload_role_arn
      kms_key_arn        = try(var.encryption.kms_key_arn, null)
    }

    alerts = {
      for name, alert in local.alerts : name => merge(alert, {
        sns_topic_arns = length(alert.sns_topic_arns) + length(alert.lambda_function_arns) > 0 ? alert.sns_topic_arns : [module.alerts.alerts_topic_arn]
      })
    }
  })
}

module "storage" {
  source = "./modules/storage"

  name                   = local.name
  region                 = local.region
  account_id             = local.account_id
  bucket_name            = var.storage.bucket_name
  force_destroy          = var.storage.force_destroy
  landed_retention_days  = var.storage.landed_retention_days
  results_retention_days = var.storage.results_retention_days
  point_in_time_recovery = var.storage.point_in_time_recovery
  dimensions             = local.dimensions
  results_since          = try(substr(var.history.start, 0, 10), "2020-01-01")
  encryption             = var.encryption
  tags                   = var.tags
}

module "alerts" {
  source = "./modules/alerts"

  name          = local.name
  partition     = local.partition
  region        = local.region
  account_id    = local.account_id
  subscriptions = var.subscriptions
  encryption    = var.encryption
  tags          = var.tags
}

module "iam" {
  source = "./modules/iam"

  name                       = local.name
  partition                  = local.partition
  region                     = local.region
  account_id                 = local.account_id
  iam                        = var.iam
  bucket_arn                 = module.storage.bucket_arn
  table_arn                  = module.storage.table_arn
  redshift                   = local.redshift
  unload_role                = var.redshift.unload_role
  alerts_topic_arn           = module.alerts.alerts_topic_arn
  operations_topic_arn       = module.alerts.operations_topic_arn
  alert_sns_topic_arns       = distinct(flatten([for alert in local.alerts : alert.sns_topic_arns]))
  alert_lambda_function_arns = distinct(flatten([for alert in local.alerts : alert.lambda_function_arns]))
  dead_letter_queue_arn      = local.dead_letter_queue_arn
  encryption                 = var.encryption
  tracing                    = var.logging.tracing
  tags                       = var.tags
}

module "functions" {
  source = "./modules/functions"

  name        = local.name
  role_arns   = module.iam.function_role_arns
  lambda      = var.lambda
  bucket_name = module.storage.bucket_name
  logging     = var.logging
  encryption  = var.encryption
  tags        = var.tags

  environment = {
    DETECTOR_NAME        = local.name
    BUCKET_NAME          = module.storage.bucket_name
    TABLE_NAME           = module.storage.table_name
    ALERTS_TOPIC_ARN     = module.alerts.alerts_topic_arn
    OPERATIONS_TOPIC_ARN = module.alerts.operations_topic_arn
    PIPELINE_ARN         = "${local.machine_arn}-pipeline"
    CRAWL_ARN            = "${local.machine_arn}-crawl"
  }
}

module "pipeline" {
  source = "./modules/pipeline"

  name                  = local.name
  partition             = local.partition
  account_id            = local.account_id
  function_arns         = module.functions.function_arns
  machine_role_arns     = module.iam.machine_role_arns
  bucket_name           = module.storage.bucket_name
  document              = local.document
  history_parallelism   = var.history.parallelism
  retry                 = local.retry
  dead_letter_queue_arn = module.alerts.dead_letter_queue_arn
  logging               = { retention_days = var.logging.retention_days, tracing = var.logging.tracing }
  encryption            = var.encryption
  tags                  = var.tags

  attach = {
    create             = var.redshift.unload_role.create
    cluster_identifier = var.redshift.cluster_identifier
    workgroup_name     = var.redshift.workgroup_name
    role_arn           = module.iam.unload_role_attach_arn
    function_role_name = module.iam.function_role_names["warehouse_role"]
    policy             = module.iam.warehouse_role_policy
  }
}

module "crawler" {
  source = "./modules/crawler"

  name                  = local.name
  partition             = local.partition
  function_arns         = module.functions.function_arns
  machine_role_arn      = module.iam.machine_role_arns["crawl"]
  statement_arn         = module.pipeline.statement_arn
  schedule_role_arn     = module.iam.schedule_role_arn
  interval              = local.interval
  timezone              = var.timezone
  offset_seconds        = local.offset_seconds
  enabled               = var.enabled
  retry                 = local.retry
  dead_letter_queue_arn = module.alerts.dead_letter_queue_arn
  logging               = { retention_days = var.logging.retention_days, tracing = var.logging.tracing }
  encryption            = var.encryption
  tags                  = var.tags
}

module "monitoring" {
  source = "./modules/monitoring"

  name                   = local.name
  operations_topic_arn   = module.alerts.operations_topic_arn
  machine_arns           = { pipeline = module.pipeline.pipeline_arn, crawl = module.crawler.crawl_arn }
  reconcile_function     = module.functions.function_names["reconcile"]
  dead_letter_queue_name = module.alerts.dead_letter_queue_name
  tags                   = var.tags
}
