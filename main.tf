data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

# Permissions are granted on the ARNs of the one workgroup and its namespace, which end in generated IDs. With this order of the
# conditions, count is known at plan even if the workgroup's name is not.
data "aws_redshiftserverless_workgroup" "this" {
  count = alltrue([var.redshift.serverless == null, var.redshift.workgroup_name != null]) ? 1 : 0

  workgroup_name = var.redshift.workgroup_name
}

data "aws_redshiftserverless_namespace" "this" {
  count = length(data.aws_redshiftserverless_workgroup.this)

  namespace_name = data.aws_redshiftserverless_workgroup.this[0].namespace_name
}

# Constants that validations use; nothing here depends on an input.
locals {
  # From the IANA time zone database; compared with it in tests/terraform/test_validations.py.
  timezones = split("\n", trimspace(file("${path.module}/timezones.txt")))

  # JSON by country, made by scripts/holidays_table.py.
  holidays = { for line in split("\n", trimspace(file("${path.module}/holidays.txt"))) : substr(line, 0, 2) => substr(line, 3, -1) }

  arns = {
    bus      = "^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9_./-]+$"
    function = "^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:.+$"
    key      = "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$"
    layer    = "^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+$"
    policy   = "^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$"
    role     = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^, ]+$"
    secret   = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$"
    writer   = "^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$"
    topic    = "^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$"
  }

  # What SNS takes as the endpoint of each protocol.
  endpoints = {
    email      = "^[^@\\s]+@[^@\\s]+$"
    email-json = "^[^@\\s]+@[^@\\s]+$"
    https      = "^https://\\S+$"
    lambda     = "^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:.+$"
    sms        = "^\\+?[0-9][0-9 -]{3,}$"
    sqs        = "^arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$"
  }

  # RESERVED_COLUMNS in the package's config.py.
  reserved_columns = ["interval_start", "measure", "actual", "expected", "lower", "upper", "severity", "direction", "anomalous", "date", "shard"]

  # _FIELDS in the package's warehouse/time_format.py. A part is a quoted text, a run of one letter, or the characters in between.
  time_format = {
    fields = ["yyyy", "MMM", "MM", "M", "dd", "d", "HH", "H", "hh", "a", "mm", "ss", "SSS", "SSSSSS"]
    # Possible values of the text fields.
    texts = { MMM = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", a = "AM PM" }
    parts = join("|", concat(
      ["'(?:[^']|'')*'"],
      [for letter in split("", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") : "${letter}+"],
      ["[^A-Za-z']+"],
    ))
  }

  # A pair of parentheses with what it holds: a regular expression cannot count, so pairs in it are spelled out.
  nested_parentheses = [for depth in range(12) : "(?:[^()]|\\("]
  in_parentheses     = "\\(${join("", local.nested_parentheses)}[^()]*${join("", [for depth in range(12) : "\\))*"])}\\)"

  sql = {
    window_start = "\\{\\{\\s*window_start\\s*\\}\\}"
    window_end   = "\\{\\{\\s*window_end\\s*\\}\\}"
    placeholder  = "\\{\\{\\s*([^{}]*?)\\s*\\}\\}"
    select       = "(?is)^(\\s|\\x{FEFF}|--[^\\r\\n]*([\\r\\n]|$)|/\\*.*?\\*/)*(select|with)\\b"
    # MAX_STATEMENT_BYTES in the package's warehouse/sql.py. It limits the whole statement; here only the query can be measured.
    bytes = 100000

    # Strings are captured, quoted names and comments are not. Whether a backslash escapes a quote depends on a session setting,
    # so a query is rejected here only if it is invalid either way; the query check in the pipeline is stricter.
    tokens = [
      "/(?s)('(?:[^'\\\\]|\\\\.|'')*')|\"[^\"]*\"|--[^\\r\\n]*|\\/\\*.*?\\*\\/|(\\$\\$.*?\\$\\$)/",
      "/(?s)('(?:[^']|'')*')|\"[^\"]*\"|--[^\\r\\n]*|\\/\\*.*?\\*\\/|(\\$\\$.*?\\$\\$)/",
    ]

    # What must not occur outside of strings, quoted names and comments. After WITH, what follows the last pair of parentheses
    # of its list (up to twelve nested pairs, which is all that a regular expression can tell) decides.
    refused = {
      "must select after WITH …" = format(
        "(?is)^[\\s\\x{FEFF}]*with\\b[^()]*%s(?:\\s*(?:,|as\\b)[^()]*%s)*\\s*(?:(?:insert|update|delete|merge)\\b|\\(|[;\\s]*$)",
        local.in_parentheses, local.in_parentheses,
      )
      "must close every string, quoted name and comment, and must not nest comments" = "'|\"|/\\*|\\*/|\\$\\$"
      "must not quote strings with a tag such as $q$: write '…' or $$…$$"            = "(^|[^\\w$])\\$[A-Za-z_]\\w*\\$"
      "must not contain WITH RECURSIVE, which Redshift rejects in a subquery"        = "(?i)\\bwith\\s+recursive\\b"
      "must be a single statement: something follows a semicolon"                    = ";\\s*[^\\s;]"
      "must not contain SELECT … INTO, which creates a table"                        = "(?i)\\binto\\b"
      "must not contain template tags such as {% … %}: give the rendered SQL"        = "\\{[%#]"
    }
  }
}

# The warehouse, with the ARNs of a workgroup and its namespace.
locals {
  redshift = merge(var.redshift, {
    serverless = var.redshift.serverless != null ? var.redshift.serverless : one([
      for workgroup in data.aws_redshiftserverless_workgroup.this : {
        workgroup_arn = workgroup.arn
        namespace_arn = data.aws_redshiftserverless_namespace.this[0].arn
        # The API returns ARN and status of a role in either order; the provider keeps a status that follows the ARN.
        iam_role_arns = [for role in data.aws_redshiftserverless_namespace.this[0].iam_roles : split(", ", role)[0]]
      }
    ])
  })
}

# The holidays of the countries and of their parts that are asked for, by code and name: no others go into the document.
locals {
  holidays_asked = merge(concat([{}], flatten([
    for code in var.calendar.countries : [
      for part in distinct(["", trimprefix(substr(code, 2, -1), "-")]) : {
        for name, days in jsondecode(local.holidays[substr(code, 0, 2)])[part] :
        "${part == "" ? substr(code, 0, 2) : code} ${name}" => days
      }
    ]
  ]))...)
}

# Errors that the state machines' tasks retry. Access may be denied for up to two minutes after a role or key has changed;
# jitter halves the delays on average. A function that crashed, timed out or did not answer ran either on a bad host, which a
# few attempts solve, or with too little memory or time, which no number of attempts does. Every step may be repeated.
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
      merge(local.backoff, { ErrorEquals = ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"], MaxAttempts = 2 }),
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

# Read once and passed down. If a later module creates the resource, its ARN is built from its name.
locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  # Provider 5 has no attribute `region`, and 6.47 deprecates `id`: lookup() neither fails nor warns.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "id", null))

  # So that the roles do not wait for the queue, whose creation takes half a minute.
  dead_letter_queue_arn = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${var.name}-dead-letters"

  machine_arn = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${var.name}"

  # In the functions' environment, not in the document: who may write the document must not choose warehouse, user or role.
  warehouse = jsonencode({
    cluster_identifier = var.redshift.cluster_identifier
    workgroup_name     = var.redshift.workgroup_name
    database           = var.redshift.database
    secret_arn         = var.redshift.secret_arn
    db_user            = var.redshift.db_user
    role_arn           = var.redshift.role_arn
    external_id        = var.redshift.external_id
    unload_role        = module.iam.unload_role_arn
    kms_key_arn        = try(var.encryption.kms_key_arn, null)
  })

  # The keys of an alert that name its targets; those of the latter are secrets.
  alert_secrets = ["slack_secret_arns", "teams_secret_arns", "pagerduty_secret_arns", "webhook_secret_arns"]
  alert_targets = concat(["sns_topic_arns", "lambda_function_arns", "event_bus_arns"], local.alert_secrets)

  # The functions that keep a copy of each configuration, by the ARNs that their roles will have.
  configuration_writer_arns = var.storage.configuration_writer_arns == null ? null : concat(
    var.storage.configuration_writer_arns,
    [for key in ["prepare", "reconcile"] : "arn:${local.partition}:iam::${local.account_id}:role${var.iam.path}${var.name}-${key}"],
  )

  document = jsonencode({
    name                  = var.name
    description           = var.description
    interval              = var.interval
    timezone              = var.schedule.timezone
    offset_seconds        = var.schedule.offset_seconds
    lookback_intervals    = var.detection.lookback_intervals
    silence_intervals     = var.monitoring.silence_intervals
    timestamp_column      = var.timestamp_column
    measures              = var.measures
    dimensions            = var.dimensions
    dimension_filters     = var.dimension_filters
    rollups               = var.detection.rollups
    false_events_per_week = var.detection.false_events_per_week
    messages_per_week     = var.detection.messages_per_week
    band                  = var.detection.band
    season_intervals      = var.detection.season_intervals
    max_series            = var.detection.max_series
    shards                = var.detection.shards
    memory_mb             = var.lambda.memory_mb
    query                 = var.query
    history_query         = var.history.query
    history = {
      start       = var.history.start
      length      = var.history.length
      chunk       = var.history.chunk
      parallelism = var.history.parallelism
    }

    budget           = var.budget
    severity_classes = var.severity_classes
    mutes            = var.mutes
    incidents        = var.incidents
    calendar = {
      days   = merge(var.calendar.days, local.holidays_asked)
      ical   = var.calendar.ical
      silent = var.calendar.silent
    }

    alerts = {
      for name, alert in var.alerts : name => merge({ for key, value in alert : key => value if key != "kms_key_arns" }, {
        sns_topic_arns = length(flatten([for key in local.alert_targets : alert[key]])) > 0 ? alert.sns_topic_arns : [module.alerts.alerts_topic_arn]
      })
    }
  })
}

module "storage" {
  source = "./modules/storage"

  name                   = var.name
  region                 = local.region
  account_id             = local.account_id
  bucket_name            = var.storage.bucket_name
  force_destroy          = var.storage.force_destroy
  history_retention_days = var.storage.history_retention_days
  live_retention_days    = var.storage.live_retention_days
  results_retention_days = var.storage.results_retention_days
  point_in_time_recovery = var.storage.point_in_time_recovery
  athena_workgroup       = var.storage.athena_workgroup
  dimensions             = var.dimensions
  results_since          = try(substr(var.history.start, 0, 10), "2020-01-01")
  unload_role_arn        = var.redshift.unload_role.arn
  encryption             = var.encryption
  tags                   = var.tags

  configuration_writer_arns = local.configuration_writer_arns
}

module "alerts" {
  source = "./modules/alerts"

  name          = var.name
  partition     = local.partition
  region        = local.region
  account_id    = local.account_id
  subscriptions = var.subscriptions
  encryption    = var.encryption
  tags          = var.tags
}

module "iam" {
  source = "./modules/iam"

  name                       = var.name
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
  alert_sns_topic_arns       = distinct(flatten([for alert in var.alerts : alert.sns_topic_arns]))
  alert_lambda_function_arns = distinct(flatten([for alert in var.alerts : alert.lambda_function_arns]))
  alert_event_bus_arns       = distinct(flatten([for alert in var.alerts : alert.event_bus_arns]))
  alert_secret_arns          = distinct(flatten([for alert in var.alerts : [for key in local.alert_secrets : alert[key]]]))
  alert_kms_key_arns         = distinct(flatten([for alert in var.alerts : alert.kms_key_arns]))
  dead_letter_queue_arn      = local.dead_letter_queue_arn
  console                    = var.dashboard.enabled
  encryption                 = var.encryption
  tracing                    = var.logging.tracing
  tags                       = var.tags
}

module "functions" {
  source = "./modules/functions"

  name       = var.name
  region     = local.region
  account_id = local.account_id
  role_arns  = module.iam.function_role_arns
  console    = var.dashboard.enabled
  lambda     = var.lambda
  logging    = var.logging
  encryption = var.encryption
  tags       = var.tags

  environment = merge(
    {
      DETECTOR_NAME        = var.name
      BUCKET_NAME          = module.storage.bucket_name
      TABLE_NAME           = module.storage.table_name
      OPERATIONS_TOPIC_ARN = module.alerts.operations_topic_arn
      PIPELINE_ARN         = "${local.machine_arn}-pipeline"
      CRAWL_ARN            = "${local.machine_arn}-crawl"
      PAGES                = "true"
      REDSHIFT             = local.warehouse
    },
    var.redshift.unload_role.create ? { ATTACHED_ROLE_ARN = module.iam.unload_role_attach_arn } : {},
  )
}

module "pipeline" {
  source = "./modules/pipeline"

  name                  = var.name
  partition             = local.partition
  account_id            = local.account_id
  function_arns         = module.functions.function_arns
  machine_role_arns     = module.iam.machine_role_arns
  bucket_name           = module.storage.bucket_name
  document              = local.document
  warehouse             = local.warehouse
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

  name                  = var.name
  partition             = local.partition
  function_arns         = module.functions.function_arns
  machine_role_arn      = module.iam.machine_role_arns["crawl"]
  statement_arn         = module.pipeline.statement_arn
  schedule_role_arn     = module.iam.schedule_role_arn
  interval              = var.interval
  timezone              = var.schedule.timezone
  offset_seconds        = var.schedule.offset_seconds
  enabled               = var.schedule.enabled
  retry                 = local.retry
  dead_letter_queue_arn = module.alerts.dead_letter_queue_arn
  logging               = { retention_days = var.logging.retention_days, tracing = var.logging.tracing }
  encryption            = var.encryption
  tags                  = var.tags
}

module "monitoring" {
  source = "./modules/monitoring"

  name                        = var.name
  account_id                  = local.account_id
  operations_topic_arn        = module.alerts.operations_topic_arn
  machine_arns                = { pipeline = module.pipeline.pipeline_arn, crawl = module.crawler.crawl_arn }
  interval                    = var.interval
  silence_intervals           = var.monitoring.silence_intervals
  has_budget                  = var.budget.seconds != null || var.budget.dollars != null
  commit_function_arn         = module.functions.function_arns["commit"]
  plan_crawl_function_arn     = module.functions.function_arns["plan_crawl"]
  deliver_function            = module.functions.function_names["deliver"]
  alerts_topic_name           = module.alerts.alerts_topic_name
  reconcile_function          = module.functions.function_names["reconcile"]
  record_failure_function_arn = module.functions.function_arns["record_failure"]
  dead_letter_queue_arn       = module.alerts.dead_letter_queue_arn
  dead_letter_queue_name      = module.alerts.dead_letter_queue_name
  region                      = local.region
  dashboard                   = var.dashboard.enabled
  function_arns               = module.functions.function_arns
  function_names              = module.functions.function_names
  tags                        = var.tags
}
