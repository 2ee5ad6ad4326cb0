variable "name" {
  description = "Name of the detector and the beginning of every resource's name: 1-32 lower case letters, digits and hyphens. Defaults to `detector_name` of `params_json`, brought into this form; one of both must be given."
  type        = string
  default     = null

  validation {
    condition     = var.name != null || local.params.name != null
    error_message = "name must be given, here or as detector_name in params_json; both are null."
  }

  validation {
    condition     = var.name == null || can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.name))
    error_message = "name must be 1-32 lower case letters, digits and hyphens, and begin and end with a letter or digit; it is ${jsonencode(var.name)}."
  }
}

variable "description" {
  description = "What the detector watches, for people. Defaults to `detector_description` of `params_json`."
  type        = string
  default     = null
}

variable "redshift" {
  description = <<-EOT
    Warehouse that is queried, how the functions sign in to it, and the role that UNLOAD writes with.
    - `cluster_identifier` - (Optional) Provisioned cluster. Exactly one of this and `workgroup_name` is given.
    - `workgroup_name` - (Optional) Serverless workgroup.
    - `database` - (Required) Database that is queried.
    - `secret_arn` - (Optional) Secret that holds `username` and `password`. Defaults to the secret that `secret_name` of `params_json` names. At most one of this and `db_user` is given; with neither, the functions sign in as their own IAM role.
    - `secret_kms_key_arn` - (Optional) Customer key that the secret is encrypted with.
    - `db_user` - (Optional) Database user that gets temporary credentials. Only with a cluster.
    - `serverless` - (Optional) Workgroup that is created in the same configuration: its ARNs, which are looked up otherwise. A workgroup that has been replaced by another one of its name is found by the next apply.
      - `workgroup_arn` - (Required) ARN of the workgroup.
      - `namespace_arn` - (Required) ARN of its namespace.
      - `iam_role_arns` - (Optional) ARNs of the other roles of the namespace. The API takes only the whole list of roles, so the module passes them on when it attaches its own; a role that is attached later needs another apply. Defaults to none.
    - `unload_role` - (Optional) Role that Redshift assumes to write to the bucket:
      - `create` - (Optional) Whether the module makes the role, attaches it beside the warehouse's other roles and detaches it at destroy. Defaults to true.
      - `arn` - (Optional) Where `create` is false: the ARN of a role that is attached already, a chain `arn1,arn2`, or `default`.
  EOT
  type = object({
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    database           = string
    secret_arn         = optional(string)
    secret_kms_key_arn = optional(string)
    db_user            = optional(string)
    serverless = optional(object({
      workgroup_arn = string
      namespace_arn = string
      iam_role_arns = optional(list(string), [])
    }))
    unload_role = optional(object({
      create = optional(bool, true)
      arn    = optional(string)
    }), {})
  })
  nullable = false

  validation {
    condition     = (var.redshift.cluster_identifier == null) != (var.redshift.workgroup_name == null)
    error_message = "redshift needs exactly one of cluster_identifier and workgroup_name; they are ${jsonencode(var.redshift.cluster_identifier)} and ${jsonencode(var.redshift.workgroup_name)}."
  }

  validation {
    condition     = var.redshift.cluster_identifier == null || can(regex("^[a-z][a-z0-9-]{0,62}$", var.redshift.cluster_identifier))
    error_message = "redshift.cluster_identifier must be 1-63 lower case letters, digits and hyphens, and begin with a letter; it is ${jsonencode(var.redshift.cluster_identifier)}."
  }

  validation {
    condition     = var.redshift.workgroup_name == null || can(regex("^[a-z0-9-]{3,64}$", var.redshift.workgroup_name))
    error_message = "redshift.workgroup_name must be 3-64 lower case letters, digits and hyphens; it is ${jsonencode(var.redshift.workgroup_name)}."
  }

  validation {
    condition     = var.redshift.serverless == null || var.redshift.cluster_identifier == null
    error_message = "redshift.serverless goes with workgroup_name, not with cluster_identifier; it is ${jsonencode(var.redshift.serverless)}."
  }

  validation {
    condition = var.redshift.serverless == null || alltrue([
      for noun in ["workgroup", "namespace"] :
      can(regex("^arn:aws[a-z-]*:redshift-serverless:[a-z0-9-]+:[0-9]{12}:${noun}/[^*]+$", try(var.redshift.serverless["${noun}_arn"], "")))
    ])
    error_message = "redshift.serverless needs workgroup_arn and namespace_arn, ARNs that end in the ids of both; it is ${jsonencode(var.redshift.serverless)}."
  }

  validation {
    condition = alltrue([
      for arn in try(var.redshift.serverless.iam_role_arns, []) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", arn))
    ])
    error_message = "redshift.serverless.iam_role_arns must be ARNs of roles; it is ${jsonencode(try(var.redshift.serverless.iam_role_arns, []))}."
  }

  validation {
    condition     = length(var.redshift.database) >= 1 && length(var.redshift.database) <= 127
    error_message = "redshift.database must be 1-127 characters; it is ${jsonencode(var.redshift.database)}."
  }

  validation {
    condition     = var.redshift.secret_arn == null || var.redshift.db_user == null
    error_message = "redshift takes at most one of secret_arn and db_user; they are ${jsonencode(var.redshift.secret_arn)} and ${jsonencode(var.redshift.db_user)}."
  }

  validation {
    condition     = var.redshift.workgroup_name == null || var.redshift.db_user == null
    error_message = "redshift.db_user goes with a cluster; a workgroup takes secret_arn or the functions' own role. It is ${jsonencode(var.redshift.db_user)}."
  }

  validation {
    condition     = var.redshift.secret_arn == null || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$", var.redshift.secret_arn))
    error_message = "redshift.secret_arn must be the ARN of a secret; it is ${jsonencode(var.redshift.secret_arn)}."
  }

  validation {
    condition     = var.redshift.secret_kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.redshift.secret_kms_key_arn))
    error_message = "redshift.secret_kms_key_arn must be the ARN of a KMS key, not of an alias; it is ${jsonencode(var.redshift.secret_kms_key_arn)}."
  }

  validation {
    condition     = var.redshift.unload_role.create == (var.redshift.unload_role.arn == null)
    error_message = "redshift.unload_role.arn must be given where unload_role.create is false, and only there; create is ${jsonencode(var.redshift.unload_role.create)} and arn ${jsonencode(var.redshift.unload_role.arn)}."
  }

  validation {
    condition = (
      var.redshift.unload_role.arn == null ? true :
      var.redshift.unload_role.arn == "default" ? true :
      can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^, ]+(,arn:aws[a-z-]*:iam::[0-9]{12}:role/[^, ]+)*$", var.redshift.unload_role.arn))
    )
    error_message = "redshift.unload_role.arn must be the ARN of a role, a chain of them divided by commas without blanks, or default; it is ${jsonencode(var.redshift.unload_role.arn)}."
  }
}

variable "query" {
  description = "One SELECT, or WITH … SELECT, that returns the rows to watch: the timestamp column, the measures and the dimensions. `{{ window_start }}` and `{{ window_end }}` become timestamp literals in the column's time zone. Rows outside the window are dropped in any case."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex(local.sql.window_start, var.query)) && can(regex(local.sql.window_end, var.query))
    error_message = "query must contain both {{ window_start }} and {{ window_end }}; it is ${jsonencode(substr(var.query, 0, 200))}."
  }

  validation {
    condition     = alltrue([for found in try(regexall(local.sql.placeholder, var.query), []) : contains(["window_start", "window_end"], found[0])])
    error_message = "query must hold no other placeholder than {{ window_start }} and {{ window_end }}; it holds ${jsonencode(distinct(flatten(try(regexall(local.sql.placeholder, var.query), []))))}."
  }

  validation {
    condition     = can(regex(local.sql.select, var.query))
    error_message = "query must begin with SELECT or WITH; it begins with ${jsonencode(substr(trimspace(var.query), 0, 60))}."
  }

  validation {
    condition = anytrue([
      for tokens in local.sql.tokens : !can(regex(";\\s*[^\\s;]", replace(var.query, tokens, " ")))
    ])
    error_message = "query must be one statement; something follows a semicolon in ${jsonencode(substr(var.query, 0, 200))}."
  }

  validation {
    condition     = length(base64encode(var.query)) * 3 / 4 <= local.sql.bytes + 2
    error_message = "query must be at most 100 KB, which is what the Redshift Data API takes; it is ${floor(length(base64encode(var.query)) * 3 / 4)} bytes."
  }
}

variable "history_query" {
  description = "Another query for the history, by the same rules as `query` and with the same columns, such as one that reads an archive. Defaults to `query`."
  type        = string
  default     = null

  validation {
    condition     = var.history_query == null || can(regex(local.sql.window_start, var.history_query)) && can(regex(local.sql.window_end, var.history_query))
    error_message = "history_query must contain both {{ window_start }} and {{ window_end }}; it is ${jsonencode(var.history_query)}."
  }

  validation {
    condition     = var.history_query == null || alltrue([for found in try(regexall(local.sql.placeholder, var.history_query), []) : contains(["window_start", "window_end"], found[0])])
    error_message = "history_query must hold no other placeholder than {{ window_start }} and {{ window_end }}; it holds ${jsonencode(distinct(flatten(try(regexall(local.sql.placeholder, var.history_query), []))))}."
  }

  validation {
    condition     = var.history_query == null || can(regex(local.sql.select, var.history_query))
    error_message = "history_query must begin with SELECT or WITH; it is ${jsonencode(var.history_query)}."
  }

  validation {
    condition = var.history_query == null || anytrue([
      for tokens in local.sql.tokens : !can(regex(";\\s*[^\\s;]", try(replace(var.history_query, tokens, " "), "")))
    ])
    error_message = "history_query must be one statement; something follows a semicolon in ${jsonencode(var.history_query)}."
  }

  validation {
    condition     = var.history_query == null || try(length(base64encode(var.history_query)), 0) * 3 / 4 <= local.sql.bytes + 2
    error_message = "history_query must be at most 100 KB, which is what the Redshift Data API takes; it is ${floor(try(length(base64encode(var.history_query)), 0) * 3 / 4)} bytes."
  }
}

variable "timestamp_column" {
  description = <<-EOT
    Column that says when a row happened. Defaults to `timestamp_column.ColumnName` of `params_json`; one of both must be given.
    - `name` - (Required) Name of the column in the query's result.
    - `format` - (Optional) Where the column is text: its format in the letters of Lookout's `ColumnFormat`, such as `yyyy-MM-dd HH:mm:ss` or `yyyy-MM-dd'T'HH:mm:ss`. Defaults to null: the column is a timestamp or date.
    - `timezone` - (Optional) IANA time zone of the column's values. A TIMESTAMPTZ column takes `UTC`. Defaults to `UTC`.
  EOT
  type = object({
    name     = string
    format   = optional(string)
    timezone = optional(string, "UTC")
  })
  default = null

  validation {
    condition     = var.timestamp_column != null || local.params.timestamp_column != null
    error_message = "timestamp_column must be given, here or in params_json; both are null."
  }

  validation {
    condition     = var.timestamp_column == null || try(length(var.timestamp_column.name) >= 1 && length(var.timestamp_column.name) <= 127, false)
    error_message = "timestamp_column.name must be 1-127 characters; it is ${jsonencode(try(var.timestamp_column.name, null))}."
  }

  validation {
    condition     = try(var.timestamp_column.format, null) == null || alltrue([for part in ["yyyy", "M", "d"] : can(regex(part, var.timestamp_column.format))])
    error_message = "timestamp_column.format must name year, month and day as in yyyy-MM-dd HH:mm:ss; it is ${jsonencode(try(var.timestamp_column.format, null))}."
  }

  validation {
    condition     = var.timestamp_column == null || can(regex(local.timezone_pattern, var.timestamp_column.timezone))
    error_message = "timestamp_column.timezone must be an IANA time zone such as Europe/Berlin, or UTC; it is ${jsonencode(try(var.timestamp_column.timezone, null))}."
  }
}

variable "measures" {
  description = <<-EOT
    Numeric columns that are watched, 1 to 10, by name. Defaults to `metrics_set` of `params_json`; one of both must be given.
    - `aggregation` - (Optional) How rows of an interval become one value: `SUM`, `AVG`, `MIN`, `MAX` or `COUNT` (of values that are not null). Defaults to `SUM`.
    - `direction` - (Optional) Which changes matter: `up`, `down` or `both`. Defaults to `both`.
    - `min_absolute_change` - (Optional) Smallest difference between actual and expected value that is an anomaly. Defaults to 0.
    - `min_relative_change` - (Optional) The same as a share of the expected value: 0.1 is 10 %. Defaults to 0.
  EOT
  type = map(object({
    aggregation         = optional(string, "SUM")
    direction           = optional(string, "both")
    min_absolute_change = optional(number, 0)
    min_relative_change = optional(number, 0)
  }))
  default = null

  validation {
    condition = (
      length(var.measures == null ? local.params.measures : var.measures) >= 1 &&
      length(var.measures == null ? local.params.measures : var.measures) <= 10
    )
    error_message = "measures must be 1 to 10, given here or as metrics_set in params_json; there are ${length(var.measures == null ? local.params.measures : var.measures)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.measures == null ? local.params.measures : var.measures) : length(name) >= 1 && length(name) <= 127])
    error_message = "Names of measures must be 1-127 characters; they are ${jsonencode(keys(var.measures == null ? local.params.measures : var.measures))}."
  }

  validation {
    condition = alltrue([
      for measure in values(var.measures == null ? local.params.measures : var.measures) :
      contains(["SUM", "AVG", "MIN", "MAX", "COUNT"], measure.aggregation)
    ])
    error_message = "measures.*.aggregation must be SUM, AVG, MIN, MAX or COUNT; given: ${jsonencode({ for name, measure in(var.measures == null ? local.params.measures : var.measures) : name => measure.aggregation })}."
  }

  validation {
    condition = alltrue([
      for measure in values(var.measures == null ? local.params.measures : var.measures) :
      contains(["up", "down", "both"], measure.direction)
    ])
    error_message = "measures.*.direction must be up, down or both; given: ${jsonencode({ for name, measure in(var.measures == null ? local.params.measures : var.measures) : name => measure.direction })}."
  }

  validation {
    condition = alltrue([
      for measure in values(var.measures == null ? local.params.measures : var.measures) :
      measure.min_absolute_change >= 0 && measure.min_relative_change >= 0
    ])
    error_message = "measures.*.min_absolute_change and min_relative_change must be 0 or more; given: ${jsonencode({ for name, measure in(var.measures == null ? local.params.measures : var.measures) : name => [measure.min_absolute_change, measure.min_relative_change] })}."
  }
}

variable "dimensions" {
  description = "Columns that the measures are split by, 0 to 10. Defaults to `dimension_list` of `params_json`, else to none."
  type        = list(string)
  default     = null

  validation {
    condition     = length(var.dimensions == null ? local.params.dimensions : var.dimensions) <= 10
    error_message = "dimensions must be at most 10; there are ${length(var.dimensions == null ? local.params.dimensions : var.dimensions)}."
  }

  validation {
    condition     = alltrue([for name in(var.dimensions == null ? local.params.dimensions : var.dimensions) : length(name) >= 1 && length(name) <= 127])
    error_message = "Names of dimensions must be 1-127 characters; they are ${jsonencode(var.dimensions == null ? local.params.dimensions : var.dimensions)}."
  }

  validation {
    condition = (
      length(distinct([for name in(var.dimensions == null ? local.params.dimensions : var.dimensions) : lower(name)])) ==
      length(var.dimensions == null ? local.params.dimensions : var.dimensions)
    )
    error_message = "dimensions must not name a column twice; they are ${jsonencode(var.dimensions == null ? local.params.dimensions : var.dimensions)}."
  }

  validation {
    condition     = alltrue([for name in(var.dimensions == null ? local.params.dimensions : var.dimensions) : !contains(local.reserved_columns, lower(name))])
    error_message = "dimensions must not have the name of a results column (${join(", ", local.reserved_columns)}); rename the column in the query. They are ${jsonencode(var.dimensions == null ? local.params.dimensions : var.dimensions)}."
  }

  validation {
    condition     = alltrue([for name in(var.dimensions == null ? local.params.dimensions : var.dimensions) : !contains(keys(local.measures), name)])
    error_message = "A column cannot be a measure and a dimension at once; both name ${jsonencode([for name in(var.dimensions == null ? local.params.dimensions : var.dimensions) : name if contains(keys(local.measures), name)])}."
  }

  validation {
    condition     = !contains(var.dimensions == null ? local.params.dimensions : var.dimensions, try(local.timestamp_column.name, ""))
    error_message = "dimensions must not hold the timestamp column; it is ${jsonencode(try(local.timestamp_column.name, ""))}."
  }
}

variable "dimension_filters" {
  description = "Values that are watched, by dimension: a row counts if each filtered dimension has one of its values. Defaults to no filter."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.dimension_filters) : contains(local.dimensions, name)])
    error_message = "Keys of dimension_filters must be dimensions (${join(", ", local.dimensions)}); they are ${jsonencode(keys(var.dimension_filters))}."
  }

  validation {
    condition     = alltrue([for values in values(var.dimension_filters) : length(values) >= 1])
    error_message = "Each of dimension_filters must hold at least one value; given: ${jsonencode(var.dimension_filters)}."
  }
}

variable "interval" {
  description = "Length of an interval: `PT5M`, `PT10M`, `PT15M`, `PT30M`, `PT1H` or `P1D`. Defaults to `detector_frequency` of `params_json`; one of both must be given."
  type        = string
  default     = null

  validation {
    condition     = try(contains(["PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "P1D"], coalesce(var.interval, local.params.interval)), false)
    error_message = "interval must be PT5M, PT10M, PT15M, PT30M, PT1H or P1D, given here or as detector_frequency in params_json; it is ${jsonencode(try(coalesce(var.interval, local.params.interval), null))}."
  }
}

variable "timezone" {
  description = "IANA time zone of the intervals and of the schedule. Days of `P1D` follow its daylight saving."
  type        = string
  default     = "UTC"
  nullable    = false

  validation {
    condition     = can(regex(local.timezone_pattern, var.timezone))
    error_message = "timezone must be an IANA time zone such as Europe/Berlin, or UTC; it is ${jsonencode(var.timezone)}."
  }
}

variable "offset_seconds" {
  description = "Seconds to wait after an interval ends before it is crawled, 0-432000. Defaults to `offset` of `params_json`, else to 300."
  type        = number
  default     = null

  validation {
    condition = (
      (var.offset_seconds == null ? local.params.offset_seconds : var.offset_seconds) >= 0 &&
      (var.offset_seconds == null ? local.params.offset_seconds : var.offset_seconds) <= 432000 &&
      floor(var.offset_seconds == null ? local.params.offset_seconds : var.offset_seconds) == (var.offset_seconds == null ? local.params.offset_seconds : var.offset_seconds)
    )
    error_message = "offset_seconds must be a whole number from 0 to 432000; it is ${var.offset_seconds == null ? local.params.offset_seconds : var.offset_seconds}."
  }
}

variable "history" {
  description = <<-EOT
    Past that is loaded once to learn from.
    - `start` - (Optional) Where it begins, RFC 3339 such as `2024-01-01T00:00:00Z`. At most one of this and `length` is given; with neither, 30 to 730 days by interval.
    - `length` - (Optional) How long it is in days, such as `P90D`.
    - `chunk` - (Optional) How much one UNLOAD reads. Defaults to `P30D`.
    - `parallelism` - (Optional) Most UNLOADs at a time, 1-40. Defaults to 4.
  EOT
  type = object({
    start       = optional(string)
    length      = optional(string)
    chunk       = optional(string, "P30D")
    parallelism = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.history.start == null || var.history.length == null
    error_message = "history takes at most one of start and length; they are ${jsonencode(var.history.start)} and ${jsonencode(var.history.length)}."
  }

  validation {
    condition     = var.history.start == null || can(formatdate("YYYY", var.history.start))
    error_message = "history.start must be an RFC 3339 time such as 2024-01-01T00:00:00Z; it is ${jsonencode(var.history.start)}."
  }

  validation {
    condition     = var.history.length == null || can(regex("^P[1-9][0-9]{0,4}D$", var.history.length))
    error_message = "history.length must be a number of days such as P90D; it is ${jsonencode(var.history.length)}."
  }

  validation {
    condition     = can(regex("^P[1-9][0-9]{0,4}D$", var.history.chunk))
    error_message = "history.chunk must be a number of days such as P30D; it is ${jsonencode(var.history.chunk)}."
  }

  validation {
    condition     = var.history.parallelism >= 1 && var.history.parallelism <= 40 && floor(var.history.parallelism) == var.history.parallelism
    error_message = "history.parallelism must be a whole number from 1 to 40; it is ${jsonencode(var.history.parallelism)}."
  }
}

variable "lookback_intervals" {
  description = "Intervals before the due ones that each crawl reads again, so that rows which arrive late still count; 0-24."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.lookback_intervals >= 0 && var.lookback_intervals <= 24 && floor(var.lookback_intervals) == var.lookback_intervals
    error_message = "lookback_intervals must be a whole number from 0 to 24; it is ${var.lookback_intervals}."
  }
}

variable "rollups" {
  description = "Which sums over dimension values are watched besides the single combinations: any of `total`, `single` (each dimension alone) and `pairs`."
  type        = list(string)
  default     = ["total", "single", "pairs"]
  nullable    = false

  validation {
    condition     = length(setsubtract(var.rollups, ["total", "single", "pairs"])) == 0 && length(distinct(var.rollups)) == length(var.rollups)
    error_message = "rollups must be any of total, single and pairs, each once; they are ${jsonencode(var.rollups)}."
  }
}

variable "false_events_per_week" {
  description = "False events a week that a severity of 50 is calibrated to, over all series; more than 0, at most 1000."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.false_events_per_week > 0 && var.false_events_per_week <= 1000
    error_message = "false_events_per_week must be more than 0 and at most 1000; it is ${var.false_events_per_week}."
  }
}

variable "max_series" {
  description = "Most series (measure and combination of dimension values, sums included) that are accepted, 1-1000000. The check before the first load refuses more."
  type        = number
  default     = 50000
  nullable    = false

  validation {
    condition     = var.max_series >= 1 && var.max_series <= 1000000 && floor(var.max_series) == var.max_series
    error_message = "max_series must be a whole number from 1 to 1000000; it is ${var.max_series}."
  }
}

variable "shards" {
  description = "Parts that rows are unloaded in, so that the warehouse writes and functions read them in parallel; one model scores all. 1-64."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.shards >= 1 && var.shards <= 64 && floor(var.shards) == var.shards
    error_message = "shards must be a whole number from 1 to 64; it is ${var.shards}."
  }
}

variable "alerts" {
  description = <<-EOT
    What is sent to whom, by name of the alert; at most 10. Defaults to the alert of `params_json`, else to none.
    - `threshold` - (Optional) Severity from which an event is sent, 0-100. Defaults to 50.
    - `description` - (Optional) Text that goes with the alert.
    - `sns_topic_arns` - (Optional) Topics that get it as JSON. With neither topics nor functions it goes to the module's alerts topic.
    - `lambda_function_arns` - (Optional) Functions that are called with it.
    - `measures` - (Optional) Measures that it is limited to. Defaults to all.
    - `dimension_filters` - (Optional) Values that it is limited to, by dimension. Defaults to all.
  EOT
  type = map(object({
    threshold            = optional(number, 50)
    description          = optional(string)
    sns_topic_arns       = optional(list(string), [])
    lambda_function_arns = optional(list(string), [])
    measures             = optional(list(string), [])
    dimension_filters    = optional(map(list(string)), {})
  }))
  default = null

  validation {
    condition     = var.alerts == null || try(length(var.alerts) <= 10, false)
    error_message = "alerts must be at most 10; there are ${try(length(var.alerts), 0)}."
  }

  validation {
    condition = alltrue([
      for name in keys(var.alerts == null ? local.params.alerts : var.alerts) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))
    ])
    error_message = "Names of alerts must be 1-63 letters, digits, hyphens and underscores, and begin with a letter or digit; they are ${jsonencode(keys(var.alerts == null ? local.params.alerts : var.alerts))}."
  }

  validation {
    condition = alltrue([
      for alert in values(var.alerts == null ? local.params.alerts : var.alerts) : alert.threshold >= 0 && alert.threshold <= 100
    ])
    error_message = "alerts.*.threshold must be 0-100; given: ${jsonencode({ for name, alert in(var.alerts == null ? local.params.alerts : var.alerts) : name => alert.threshold })}."
  }

  validation {
    condition = alltrue(flatten([
      for alert in values(var.alerts == null ? local.params.alerts : var.alerts) : [
        for arn in alert.sns_topic_arns : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$", arn))
      ]
    ]))
    error_message = "alerts.*.sns_topic_arns must be ARNs of SNS topics; given: ${jsonencode({ for name, alert in(var.alerts == null ? local.params.alerts : var.alerts) : name => alert.sns_topic_arns })}."
  }

  validation {
    condition = alltrue(flatten([
      for alert in values(var.alerts == null ? local.params.alerts : var.alerts) : [
        for arn in alert.lambda_function_arns : can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:.+$", arn))
      ]
    ]))
    error_message = "alerts.*.lambda_function_arns must be ARNs of Lambda functions; given: ${jsonencode({ for name, alert in(var.alerts == null ? local.params.alerts : var.alerts) : name => alert.lambda_function_arns })}."
  }

  validation {
    condition = alltrue(flatten([
      for alert in values(var.alerts == null ? local.params.alerts : var.alerts) : [
        for measure in alert.measures : contains(keys(local.measures), measure)
      ]
    ]))
    error_message = "alerts.*.measures must be measures (${join(", ", keys(local.measures))}); given: ${jsonencode({ for name, alert in(var.alerts == null ? local.params.alerts : var.alerts) : name => alert.measures })}."
  }

  validation {
    condition = alltrue(flatten([
      for alert in values(var.alerts == null ? local.params.alerts : var.alerts) : [
        for name, values in alert.dimension_filters : contains(local.dimensions, name) && length(values) >= 1
      ]
    ]))
    error_message = "alerts.*.dimension_filters must be dimensions (${join(", ", local.dimensions)}) with at least one value each; given: ${jsonencode({ for name, alert in(var.alerts == null ? local.params.alerts : var.alerts) : name => alert.dimension_filters })}."
  }
}

variable "subscriptions" {
  description = <<-EOT
    Who hears of the module's own topics, by any name. E-mail subscriptions wait until their owner confirms them; a queue or function must itself allow the topic.
    - `alerts` - (Optional) Of the alerts topic.
      - `protocol` - (Required) `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
      - `endpoint` - (Required) Address or ARN.
    - `operations` - (Optional) Of the operations topic, which failures and alarms go to; of the same form.
  EOT
  type = object({
    alerts = optional(map(object({
      protocol = string
      endpoint = string
    })), {})
    operations = optional(map(object({
      protocol = string
      endpoint = string
    })), {})
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) :
      contains(["email", "email-json", "https", "lambda", "sms", "sqs"], subscription.protocol)
    ])
    error_message = "subscriptions.*.*.protocol must be email, email-json, https, lambda, sms or sqs; given: ${jsonencode(distinct([for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) : subscription.protocol]))}."
  }
}

variable "encryption" {
  description = <<-EOT
    Customer key for bucket, table, topics, queue, logs, schedule and functions' environment. Defaults to null: AWS's own keys. The key's policy must allow
    the account's roles, and the services `logs.<region>`, `cloudwatch`, `events` and `sns` to use it; `examples/complete` has such a policy.
    - `kms_key_arn` - (Required) ARN of the key.
  EOT
  type = object({
    kms_key_arn = string
  })
  default = null

  validation {
    condition     = var.encryption == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a KMS key, not of an alias; it is ${jsonencode(try(var.encryption.kms_key_arn, null))}."
  }
}

variable "logging" {
  description = <<-EOT
    Logs and traces of functions and state machines.
    - `retention_days` - (Optional) Days that logs are kept, one of the numbers that CloudWatch has; 0 is for ever. Defaults to 365.
    - `level` - (Optional) `DEBUG`, `INFO`, `WARNING` or `ERROR`. Defaults to `INFO`.
    - `tracing` - (Optional) Whether X-Ray traces are written. Defaults to true.
  EOT
  type = object({
    retention_days = optional(number, 365)
    level          = optional(string, "INFO")
    tracing        = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.logging.retention_days
    )
    error_message = "logging.retention_days must be one of CloudWatch's: 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653; it is ${var.logging.retention_days}."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.logging.level)
    error_message = "logging.level must be DEBUG, INFO, WARNING or ERROR; it is ${jsonencode(var.logging.level)}."
  }
}

variable "lambda" {
  description = <<-EOT
    How the functions run.
    - `runtime` - (Optional) `python3.11`, `python3.12` or `python3.13`. Defaults to `python3.13`.
    - `architecture` - (Optional) `arm64` or `x86_64`. Defaults to `arm64`.
    - `memory_mb` - (Optional) Memory of the functions that compute, 512-10240. Defaults to 1769, which is one vCPU.
    - `layers` - (Optional) ARNs of layers that hold numpy, pyarrow, Powertools and pydantic; `[]` for none. Defaults to AWS's managed layers, whose ARNs are read from Systems Manager's public parameters; regions and partitions without them (China, GovCloud, some newer regions) need this input.
    - `package` - (Optional) A package in S3 instead of the one that comes with the module:
      - `bucket` - (Required) Its bucket.
      - `key` - (Required) Its key.
      - `version` - (Optional) Version of the object.
      - `hash` - (Required) Its SHA-256, base64.
    - `sdk_for_pandas_version` - (Optional) Version of the AWS SDK for pandas layer. Defaults to `3.17.1`, which the package was tested with (`layers.toml`).
    - `powertools_version` - (Optional) Version of the Powertools layer. Defaults to `3.34.0`, which the package was tested with (`layers.toml`).
  EOT
  type = object({
    runtime      = optional(string, "python3.13")
    architecture = optional(string, "arm64")
    memory_mb    = optional(number, 1769)
    layers       = optional(list(string))
    package = optional(object({
      bucket  = string
      key     = string
      version = optional(string)
      hash    = string
    }))
    sdk_for_pandas_version = optional(string, "3.17.1")
    powertools_version     = optional(string, "3.34.0")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^python3\\.1[1-3]$", var.lambda.runtime))
    error_message = "lambda.runtime must be python3.11, python3.12 or python3.13, for which both layers exist; it is ${jsonencode(var.lambda.runtime)}."
  }

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda.architecture)
    error_message = "lambda.architecture must be arm64 or x86_64; it is ${jsonencode(var.lambda.architecture)}."
  }

  validation {
    condition     = var.lambda.memory_mb >= 512 && var.lambda.memory_mb <= 10240 && floor(var.lambda.memory_mb) == var.lambda.memory_mb
    error_message = "lambda.memory_mb must be a whole number from 512 to 10240; it is ${var.lambda.memory_mb}."
  }
}

variable "iam" {
  description = <<-EOT
    What every role gets.
    - `path` - (Optional) Path of the roles; begins and ends with a slash. Defaults to `/`.
    - `permissions_boundary_arn` - (Optional) Policy that bounds the roles. Defaults to none.
  EOT
  type = object({
    path                     = optional(string, "/")
    permissions_boundary_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([!-~]*/)?$", var.iam.path))
    error_message = "iam.path must begin and end with a slash and hold no blanks; it is ${jsonencode(var.iam.path)}."
  }

  validation {
    condition     = var.iam.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.iam.permissions_boundary_arn))
    error_message = "iam.permissions_boundary_arn must be the ARN of a policy; it is ${jsonencode(var.iam.permissions_boundary_arn)}."
  }
}

variable "storage" {
  description = <<-EOT
    Bucket and table.
    - `bucket_name` - (Optional) Name of the bucket. Defaults to `<name>-<account>-<region>`.
    - `force_destroy` - (Optional) Whether destroy also deletes what the bucket holds. Defaults to false.
    - `landed_retention_days` - (Optional) Days that unloaded rows are kept, 30 or more. Defaults to null: for ever, so that training again need not unload again.
    - `results_retention_days` - (Optional) Days that results are kept, 1 or more. Defaults to null: for ever.
    - `point_in_time_recovery` - (Optional) Whether the table can be brought back to any second of the last 35 days. Defaults to true.
  EOT
  type = object({
    bucket_name            = optional(string)
    force_destroy          = optional(bool, false)
    landed_retention_days  = optional(number)
    results_retention_days = optional(number)
    point_in_time_recovery = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.storage.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.storage.bucket_name))
    error_message = "storage.bucket_name must be 3-63 lower case letters, digits and hyphens, and begin and end with a letter or digit; it is ${jsonencode(var.storage.bucket_name)}."
  }

  validation {
    condition     = try(var.storage.landed_retention_days >= 30, var.storage.landed_retention_days == null)
    error_message = "storage.landed_retention_days must be 30 or more, or null; it is ${jsonencode(var.storage.landed_retention_days)}."
  }

  validation {
    condition     = try(var.storage.results_retention_days >= 1, var.storage.results_retention_days == null)
    error_message = "storage.results_retention_days must be 1 or more, or null; it is ${jsonencode(var.storage.results_retention_days)}."
  }
}

variable "enabled" {
  description = "Whether the schedule runs. History is loaded and the detector trained in any case."
  type        = bool
  default     = true
  nullable    = false
}

variable "params_json" {
  description = "The old connector's `params.json`, unchanged: `file(\"params.json\")`. Fills `name`, `description`, `interval`, `timestamp_column`, `measures`, `dimensions`, `alerts`, `offset_seconds` and, by `secret_name`, `redshift.secret_arn` where they are not given. Keys that no longer mean anything are named in the output `params_json_ignored`."
  type        = string
  default     = null

  validation {
    condition     = var.params_json == null || can(keys(jsondecode(var.params_json)))
    error_message = "params_json must be a JSON object; it is ${jsonencode(var.params_json)}."
  }

  validation {
    condition = length(setsubtract(try(keys(jsondecode(var.params_json)), []), [
      "database_type", "detector_name", "detector_description", "detector_frequency", "timestamp_column", "dimension_list", "metrics_set",
      "metric_source", "s3_bucket", "alert_name", "alert_threshold", "alert_description", "alert_lambda_arn", "offset", "secret_name"
    ])) == 0
    error_message = "params_json must hold only the old connector's keys: database_type, detector_name, detector_description, detector_frequency, timestamp_column, dimension_list, metrics_set, metric_source, s3_bucket, alert_name, alert_threshold, alert_description, alert_lambda_arn, offset, secret_name; it holds ${jsonencode(try(keys(jsondecode(var.params_json)), []))}."
  }

  validation {
    condition = !can(jsondecode(var.params_json).metrics_set) || try(
      length(distinct([for metric in jsondecode(var.params_json).metrics_set : "${metric.MetricName} ${metric.AggregationFunction}"])) ==
      length({ for metric in jsondecode(var.params_json).metrics_set : metric.MetricName => metric }),
      false
    )
    error_message = "params_json: metrics_set must be a list of objects with MetricName, each name once, and AggregationFunction; it is ${jsonencode(try(jsondecode(var.params_json).metrics_set, null))}."
  }

  validation {
    condition     = !can(jsondecode(var.params_json).dimension_list) || can([for name in jsondecode(var.params_json).dimension_list : tostring(name)])
    error_message = "params_json: dimension_list must be a list of column names; it is ${jsonencode(try(jsondecode(var.params_json).dimension_list, null))}."
  }

  validation {
    condition     = !can(jsondecode(var.params_json).timestamp_column) || try(length(jsondecode(var.params_json).timestamp_column.ColumnName) > 0, false)
    error_message = "params_json: timestamp_column must be an object with ColumnName; it is ${jsonencode(try(jsondecode(var.params_json).timestamp_column, null))}."
  }

  validation {
    condition     = alltrue([for key in ["offset", "alert_threshold"] : can(tonumber(try(jsondecode(var.params_json)[key], 0)))])
    error_message = "params_json: offset and alert_threshold must be numbers; they are ${jsonencode([for key in ["offset", "alert_threshold"] : try(jsondecode(var.params_json)[key], null)])}."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
