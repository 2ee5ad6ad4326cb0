variable "name" {
  description = "Name of the detector, and prefix of every resource name: 3-32 lowercase letters, digits and hyphens, starting with a letter. IAM role names are global, so a name can be used once per account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name must be 3-32 lowercase letters, digits and hyphens, starting with a letter and not ending with a hyphen; got ${jsonencode(var.name)}."
  }

  validation {
    condition     = var.storage.bucket_name != null || !can(regex("^(xn--|sthree-|amzn-s3-demo-)", var.name))
    error_message = "name must not start with xn--, sthree- or amzn-s3-demo-, which S3 reserves, unless storage.bucket_name is given; got ${jsonencode(var.name)}."
  }
}

variable "description" {
  description = "Free-text description of what the detector monitors."
  type        = string
  default     = null
}

variable "redshift" {
  description = <<-EOT
    Redshift warehouse, how the functions authenticate to it, and the role that UNLOAD uses.
    - `cluster_identifier` - (Optional) Identifier of a provisioned cluster. Set exactly one of this and `workgroup_name`.
    - `workgroup_name` - (Optional) Name of a Redshift Serverless workgroup.
    - `database` - (Required) Name of the database.
    - `secret_arn` - (Optional) ARN of the Secrets Manager secret that holds `username` and `password`. Set at most one of this and `db_user`; with neither, the functions authenticate as their IAM role, whose database user needs what the output `sign_in_sql` says.
    - `secret_kms_key_arn` - (Optional) ARN of the customer managed KMS key that encrypts the secret.
    - `db_user` - (Optional) Database user to request temporary credentials for. Clusters only.
    - `role_arn` - (Optional) ARN of a role that the functions assume to run statements: for a warehouse in another account, in the same region. The role needs the policy in the output `warehouse_access_policy_json`, its trust policy must allow the role of the function `statement`, and `unload_role.create` must be `false`; see `examples/other-account`. `secret_arn` is one of that account then, and without it the database user is `IAMR:<name of this role>`.
    - `external_id` - (Optional) External ID that the trust policy of `role_arn` requires.
    - `serverless` - (Optional) ARNs of the workgroup and its namespace. Required for a workgroup that is created in the same configuration or is in another account; otherwise the module looks them up by `workgroup_name` at plan:
      - `workgroup_arn` - (Required) ARN of the workgroup.
      - `namespace_arn` - (Required) ARN of its namespace.
      - `iam_role_arns` - (Optional) ARNs of the other roles of the namespace. The API only accepts the complete list of roles, so the module passes them on when it attaches its own; after attaching another role, apply again. Defaults to none.
    - `unload_role` - (Optional) IAM role that Redshift assumes to UNLOAD into the bucket:
      - `create` - (Optional) Whether the module creates the role, attaches it to the warehouse alongside its other roles, and detaches it on destroy. Defaults to `true`.
      - `arn` - (Optional) Required if `create` is `false`: ARN of a role that is already attached, a role chain `arn1,arn2`, or `default`. The role that writes needs the policy in the output `unload_role_policy_json`.
  EOT
  type = object({
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    database           = string
    secret_arn         = optional(string)
    secret_kms_key_arn = optional(string)
    db_user            = optional(string)
    role_arn           = optional(string)
    external_id        = optional(string)
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
    error_message = "redshift must have exactly one of cluster_identifier and workgroup_name; got ${jsonencode(var.redshift.cluster_identifier)} and ${jsonencode(var.redshift.workgroup_name)}."
  }

  validation {
    condition = var.redshift.cluster_identifier == null || (
      can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.redshift.cluster_identifier)) && !can(regex("--", var.redshift.cluster_identifier))
    )
    error_message = "redshift.cluster_identifier must be 1-63 lowercase letters, digits and hyphens, starting with a letter, not ending with a hyphen and without two hyphens in a row; got ${jsonencode(var.redshift.cluster_identifier)}."
  }

  validation {
    condition     = var.redshift.workgroup_name == null || can(regex("^[a-z0-9-]{3,63}$", var.redshift.workgroup_name))
    error_message = "redshift.workgroup_name must be 3-63 lowercase letters, digits and hyphens; got ${jsonencode(var.redshift.workgroup_name)}."
  }

  validation {
    condition     = var.redshift.role_arn == null || can(regex(local.arns.role, var.redshift.role_arn))
    error_message = "redshift.role_arn must be the ARN of an IAM role; got ${jsonencode(var.redshift.role_arn)}."
  }

  validation {
    condition     = var.redshift.role_arn == null || !var.redshift.unload_role.create
    error_message = "redshift.unload_role.create must be false with redshift.role_arn: a role of another account cannot be attached to the warehouse. Set redshift.unload_role.arn to a role that is attached there, or to a chain that begins with it; got ${jsonencode(var.redshift.role_arn)}."
  }

  validation {
    condition     = var.redshift.role_arn == null || var.redshift.workgroup_name == null || var.redshift.serverless != null
    error_message = "redshift.serverless must be set for a workgroup with redshift.role_arn, because another account's workgroup cannot be looked up; got ${jsonencode(var.redshift.workgroup_name)}."
  }

  validation {
    condition     = var.redshift.external_id == null || (var.redshift.role_arn != null && can(regex("^[A-Za-z0-9_+=,.@:/-]{2,1000}$", var.redshift.external_id)))
    error_message = "redshift.external_id must be 2-1000 letters, digits and _ + = , . @ : / -, and be set only with redshift.role_arn; got ${jsonencode(var.redshift.external_id)}."
  }

  validation {
    condition     = var.redshift.serverless == null || var.redshift.cluster_identifier == null
    error_message = "redshift.serverless must not be set with a cluster; got ${jsonencode(var.redshift.serverless)}."
  }

  validation {
    condition = var.redshift.serverless == null || alltrue([
      for noun in ["workgroup", "namespace"] :
      can(regex("^arn:aws[a-z-]*:redshift-serverless:[a-z0-9-]+:[0-9]{12}:${noun}/[^*]+$", try(var.redshift.serverless["${noun}_arn"], "")))
    ])
    error_message = "redshift.serverless must have workgroup_arn and namespace_arn, ARNs that end in the IDs of the two; got ${jsonencode(var.redshift.serverless)}."
  }

  validation {
    condition     = alltrue([for arn in try(var.redshift.serverless.iam_role_arns, []) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "redshift.serverless.iam_role_arns must be ARNs of IAM roles; got ${jsonencode(try(var.redshift.serverless.iam_role_arns, []))}."
  }

  validation {
    condition     = try(length(var.redshift.database) >= 1 && length(var.redshift.database) <= 127, false)
    error_message = "redshift.database must be 1-127 characters long; got ${jsonencode(var.redshift.database)}."
  }

  validation {
    condition     = var.redshift.secret_arn == null || var.redshift.db_user == null
    error_message = "redshift must have at most one of secret_arn and db_user; got ${jsonencode(var.redshift.secret_arn)} and ${jsonencode(var.redshift.db_user)}."
  }

  validation {
    condition     = var.redshift.db_user == null || can(regex("^[A-Za-z][A-Za-z0-9_+.@-]{0,63}$", var.redshift.db_user))
    error_message = "redshift.db_user must be 1-64 letters, digits and _ + . @ -, starting with a letter; got ${jsonencode(var.redshift.db_user)}."
  }

  validation {
    condition     = var.redshift.workgroup_name == null || var.redshift.db_user == null
    error_message = "redshift.db_user must not be set with a workgroup: use secret_arn, or neither to authenticate as the function's IAM role; got ${jsonencode(var.redshift.db_user)}."
  }

  validation {
    condition     = var.redshift.secret_arn == null || can(regex(local.arns.secret, var.redshift.secret_arn))
    error_message = "redshift.secret_arn must be the ARN of a Secrets Manager secret; got ${jsonencode(var.redshift.secret_arn)}."
  }

  validation {
    condition     = var.redshift.secret_kms_key_arn == null || can(regex(local.arns.key, var.redshift.secret_kms_key_arn))
    error_message = "redshift.secret_kms_key_arn must be the ARN of a KMS key, not of an alias; got ${jsonencode(var.redshift.secret_kms_key_arn)}."
  }

  validation {
    condition     = var.redshift.unload_role.create == (var.redshift.unload_role.arn == null)
    error_message = "redshift.unload_role.arn must be set if, and only if, unload_role.create is false; got create = ${jsonencode(var.redshift.unload_role.create)} and arn = ${jsonencode(var.redshift.unload_role.arn)}."
  }

  validation {
    condition = (
      var.redshift.unload_role.arn == null ? true :
      var.redshift.unload_role.arn == "default" ? true :
      alltrue([for arn in split(",", var.redshift.unload_role.arn) : can(regex(local.arns.role, arn))])
    )
    error_message = "redshift.unload_role.arn must be the ARN of an IAM role, a chain of role ARNs separated by commas without spaces, or default; got ${jsonencode(var.redshift.unload_role.arn)}."
  }
}

variable "query" {
  description = "A single SELECT (or WITH … SELECT) statement that returns the rows to monitor: the timestamp column, the measures and the dimensions. `{{ window_start }}` and `{{ window_end }}` are replaced by timestamp literals in the time zone of the timestamp column. Rows outside the window are dropped in any case."
  type        = string
  nullable    = false

  validation {
    condition = alltrue([
      for name in ["window_start", "window_end"] :
      anytrue([for tokens in local.sql.tokens : can(regex(local.sql[name], replace(var.query, tokens, "$1$2 ")))])
    ])
    error_message = "query must contain both {{ window_start }} and {{ window_end }} outside of comments: filter the timestamp column with >= {{ window_start }} and < {{ window_end }}; got ${jsonencode(substr(var.query, 0, 200))}."
  }

  validation {
    condition     = alltrue([for found in regexall(local.sql.placeholder, var.query) : contains(["window_start", "window_end"], found[0])])
    error_message = "query must contain no placeholder other than {{ window_start }} and {{ window_end }}; got ${jsonencode(distinct(flatten(regexall(local.sql.placeholder, var.query))))}."
  }

  validation {
    condition     = can(regex(local.sql.select, var.query))
    error_message = "query must start with SELECT or WITH; got ${jsonencode(substr(trimspace(var.query), 0, 60))}."
  }

  validation {
    condition = alltrue([
      for pattern in values(local.sql.refused) : anytrue([for tokens in local.sql.tokens : !can(regex(pattern, replace(var.query, tokens, " ")))])
    ])
    error_message = "query ${join("; ", [
      for rule, pattern in local.sql.refused : rule if alltrue([for tokens in local.sql.tokens : can(regex(pattern, replace(var.query, tokens, " ")))])
    ])}; got ${jsonencode(substr(var.query, 0, 200))}."
  }

  validation {
    condition = anytrue([
      for tokens in local.sql.tokens :
      length(regexall("\\(", replace(var.query, tokens, " "))) == length(regexall("\\)", replace(var.query, tokens, " ")))
    ])
    error_message = "query must have balanced parentheses; got ${jsonencode(substr(var.query, 0, 200))}."
  }

  validation {
    condition     = length(base64encode(var.query)) * 3 / 4 <= local.sql.bytes + 2
    error_message = "query must be at most ${local.sql.bytes} bytes long, the limit of the Redshift Data API; got ${floor(length(base64encode(var.query)) * 3 / 4)} bytes."
  }
}

variable "timestamp_column" {
  description = <<-EOT
    Column of the query result that holds the time of each row.
    - `name` - (Required) Name of the column.
    - `format` - (Optional) Format of a text column, in the pattern letters of Lookout for Metrics' `ColumnFormat`, such as `yyyy-MM-dd HH:mm:ss` or `yyyy-MM-dd'T'HH:mm:ss`. Defaults to null: the column is a timestamp or a date.
    - `timezone` - (Optional) IANA time zone of the column's values. Use `UTC` for a TIMESTAMPTZ column. Not used for dates (a DATE column, or a `format` without hours): a date is a day in `timezone`, and `interval` must be `P1D`, `P1W` or `P1M`. Defaults to `UTC`.
  EOT
  type = object({
    name     = string
    format   = optional(string)
    timezone = optional(string, "UTC")
  })
  nullable = false

  validation {
    condition     = try(length(trimspace(var.timestamp_column.name)) >= 1 && length(var.timestamp_column.name) <= 127 && var.timestamp_column.name != "*", false)
    error_message = "timestamp_column.name must be the name of a column, 1-127 characters and not *; got ${jsonencode(var.timestamp_column.name)}."
  }

  validation {
    condition     = var.timestamp_column.format == null || length(regexall("'", coalesce(var.timestamp_column.format, " "))) % 2 == 0
    error_message = "timestamp_column.format must close its quotes; got ${jsonencode(var.timestamp_column.format)}."
  }

  validation {
    condition = var.timestamp_column.format == null || alltrue([
      for part in regexall(local.time_format.parts, coalesce(var.timestamp_column.format, " ")) :
      contains(local.time_format.fields, part) || !can(regex("^[A-Za-z]", part))
    ])
    error_message = "timestamp_column.format must consist of ${join(", ", local.time_format.fields)}, with other letters in quotes, such as 'T'; cast a column with a time zone in the query; got ${jsonencode(var.timestamp_column.format)}."
  }

  validation {
    condition = var.timestamp_column.format == null || alltrue([
      for spellings in [["yyyy"], ["MM", "M", "MMM"], ["dd", "d"]] :
      length(setintersection(spellings, regexall(local.time_format.parts, coalesce(var.timestamp_column.format, " ")))) >= 1
    ])
    error_message = "timestamp_column.format must contain year, month and day, such as yyyy-MM-dd HH:mm:ss; got ${jsonencode(var.timestamp_column.format)}."
  }

  validation {
    condition = var.timestamp_column.format == null || (
      contains(regexall(local.time_format.parts, coalesce(var.timestamp_column.format, " ")), "hh") ==
      contains(regexall(local.time_format.parts, coalesce(var.timestamp_column.format, " ")), "a")
    )
    error_message = "timestamp_column.format must use hh (hours 1-12) and a (AM or PM) together, or HH (hours 0-23); got ${jsonencode(var.timestamp_column.format)}."
  }

  validation {
    condition = alltrue([
      for word in [
        for part in regexall(local.time_format.parts, coalesce(var.timestamp_column.format, " ")) :
        upper(trimspace(trim(part, "'"))) if !can(regex("^[A-Za-z]", part)) && can(regex("[\\pL\\pN]", part))
      ] :
      !can(regex("^[0-9]+$", word)) && alltrue([
        for field, texts in local.time_format.texts :
        !strcontains(texts, word) || !contains(regexall(local.time_format.parts, coalesce(var.timestamp_column.format, " ")), field)
      ])
    ])
    error_message = "timestamp_column.format must have no text between its fields that a field can contain: return a TIMESTAMP from the query instead; got ${jsonencode(var.timestamp_column.format)}."
  }

  validation {
    condition     = contains(local.timezones, var.timestamp_column.timezone)
    error_message = "timestamp_column.timezone must be an IANA time zone such as Europe/Berlin, or UTC; got ${jsonencode(var.timestamp_column.timezone)}."
  }
}

variable "measures" {
  description = <<-EOT
    Numeric columns to monitor, 1-10, keyed by column name.
    - `aggregation` - (Optional) How the rows of an interval are aggregated: `SUM`, `AVG`, `MIN`, `MAX`, `COUNT` (non-null values), `COUNT_DISTINCT` (distinct non-null values), a percentile (`P50`, `P90`, `P95` or `P99`), or `RATIO`. Defaults to `SUM`.
    - `numerator` - (Optional) `RATIO` only, and then required: column whose sum is divided by that of `denominator`. The key of a `RATIO` is a name of your choice, not a column.
    - `denominator` - (Optional) `RATIO` only, and then required: column that the ratio is weighted by.
    - `exact` - (Optional) `COUNT_DISTINCT` and percentiles only: whether the warehouse computes them exactly, in a pass over the rows for each such measure, instead of approximately (within about 2 % and 0.5 %) and much faster. Defaults to `false`.
    - `direction` - (Optional) Direction of change to detect: `up`, `down` or `both`. Defaults to `both`.
    - `min_absolute_change` - (Optional) Minimum difference between the actual and the expected value of an anomaly. Defaults to `0`.
    - `min_relative_change` - (Optional) The same as a fraction of the expected value: `0.1` is 10 %. Defaults to `0`.
    - `min_change_by_level` - (Optional) The same by level of slices, in place of both: an object with `min_absolute_change` and `min_relative_change` for any of `total`, `single` (one dimension is not rolled up), `pairs` and `leaves` (all dimensions). Defaults to none.
    - `direction_by_slice` - (Optional) At most 20 objects with `direction` and `dimension_filters`, values by dimension: slices within them have this direction in place of the measure's; the first that fits counts. Defaults to none.
    - `min` - (Optional) Static lower bound: a lower value is an event of severity 100, whatever the detector has learned. Defaults to none.
    - `max` - (Optional) Static upper bound, likewise. Defaults to none.
    - `bounded_series` - (Optional) Series for which `min` and `max` hold: `all`, or only the `widest` (the total, or, if `detection.rollups` leaves it out, the widest slices that are monitored), since parts of a sum are smaller than the total. Defaults to `all`.
    - `unit` - (Optional) What a value is, which decides where its band of normal values ends: `share` (0 to 1), `amount` (any number, of either sign) or `count` (whole numbers from 0). Defaults to what each series has shown so far.
  EOT
  type = map(object({
    aggregation         = optional(string, "SUM")
    numerator           = optional(string)
    denominator         = optional(string)
    exact               = optional(bool, false)
    direction           = optional(string, "both")
    min_absolute_change = optional(number, 0)
    min_relative_change = optional(number, 0)
    min_change_by_level = optional(map(object({
      min_absolute_change = optional(number)
      min_relative_change = optional(number)
    })), {})
    direction_by_slice = optional(list(object({
      dimension_filters = map(list(string))
      direction         = string
    })), [])
    min            = optional(number)
    max            = optional(number)
    bounded_series = optional(string, "all")
    unit           = optional(string)
  }))
  nullable = false

  validation {
    condition     = length(var.measures) >= 1 && length(var.measures) <= 10
    error_message = "measures must have 1 to 10 entries; got ${length(var.measures)}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : measure != null])
    error_message = "measures.* must not be null: use {} for the defaults; got ${jsonencode(var.measures)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.measures) : length(trimspace(name)) >= 1 && length(name) <= 127 && name != "*"])
    error_message = "measures must be keyed by names of columns, 1-127 characters and not *; got ${jsonencode(keys(var.measures))}."
  }

  validation {
    condition     = length(distinct([for name in keys(var.measures) : lower(name)])) == length(var.measures)
    error_message = "measures must not name a column twice, in any case; got ${jsonencode(keys(var.measures))}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : contains(["SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT_DISTINCT", "P50", "P90", "P95", "P99", "RATIO"], measure.aggregation) if measure != null])
    error_message = "measures.*.aggregation must be SUM, AVG, MIN, MAX, COUNT, COUNT_DISTINCT, P50, P90, P95, P99 or RATIO; got ${jsonencode({ for name, measure in var.measures : name => measure.aggregation if measure != null })}."
  }

  validation {
    condition = alltrue([
      for measure in values(var.measures) :
      measure.aggregation == "RATIO" ? measure.numerator != null && measure.denominator != null : measure.numerator == null && measure.denominator == null
      if measure != null
    ])
    error_message = "measures.* must have numerator and denominator if, and only if, its aggregation is RATIO; got ${jsonencode({ for name, measure in var.measures : name => { aggregation = measure.aggregation, numerator = measure.numerator, denominator = measure.denominator } if measure != null })}."
  }

  validation {
    condition = alltrue([
      for column in flatten([for measure in values(var.measures) : [measure.numerator] if measure != null]) :
      column == null || try(length(trimspace(column)) >= 1 && length(column) <= 127 && column != "*", false)
    ])
    error_message = "measures.*.numerator must be the name of a column, 1-127 characters and not *; got ${jsonencode({ for name, measure in var.measures : name => measure.numerator if measure != null })}."
  }

  validation {
    condition = alltrue([
      for column in flatten([for measure in values(var.measures) : [measure.denominator] if measure != null]) :
      column == null || try(length(trimspace(column)) >= 1 && length(column) <= 127 && column != "*", false)
    ])
    error_message = "measures.*.denominator must be the name of a column, 1-127 characters and not *; got ${jsonencode({ for name, measure in var.measures : name => measure.denominator if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : contains(["COUNT_DISTINCT", "P50", "P90", "P95", "P99"], measure.aggregation) || !measure.exact if measure != null])
    error_message = "measures.* must not be exact unless its aggregation is COUNT_DISTINCT, P50, P90, P95 or P99; got ${jsonencode({ for name, measure in var.measures : name => measure.aggregation if try(measure.exact, false) })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : contains(["up", "down", "both"], measure.direction) if measure != null])
    error_message = "measures.*.direction must be up, down or both; got ${jsonencode({ for name, measure in var.measures : name => measure.direction if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : measure.min_absolute_change >= 0 if measure != null])
    error_message = "measures.*.min_absolute_change must be 0 or greater; got ${jsonencode({ for name, measure in var.measures : name => measure.min_absolute_change if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : measure.min_relative_change >= 0 if measure != null])
    error_message = "measures.*.min_relative_change must be 0 or greater; got ${jsonencode({ for name, measure in var.measures : name => measure.min_relative_change if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : length(setsubtract(keys(measure.min_change_by_level), ["total", "single", "pairs", "leaves"])) == 0 if measure != null])
    error_message = "measures.*.min_change_by_level must be keyed by total, single, pairs and leaves; got ${jsonencode({ for name, measure in var.measures : name => keys(measure.min_change_by_level) if measure != null })}."
  }

  validation {
    condition = alltrue(flatten([
      for measure in values(var.measures) : [
        for change in values(measure.min_change_by_level) : [for value in [change.min_absolute_change, change.min_relative_change] : value == null ? true : value >= 0] if change != null
      ] if measure != null
    ]))
    error_message = "measures.*.min_change_by_level.* must be 0 or greater; got ${jsonencode({ for name, measure in var.measures : name => measure.min_change_by_level if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : length(measure.direction_by_slice) <= 20 if measure != null])
    error_message = "measures.*.direction_by_slice must have at most 20 entries; got ${jsonencode({ for name, measure in var.measures : name => length(measure.direction_by_slice) if measure != null })}."
  }

  validation {
    condition     = alltrue(flatten([for measure in values(var.measures) : [for one in measure.direction_by_slice : try(contains(["up", "down", "both"], one.direction), false)] if measure != null]))
    error_message = "measures.*.direction_by_slice.direction must be up, down or both; got ${jsonencode({ for name, measure in var.measures : name => measure.direction_by_slice if measure != null })}."
  }

  validation {
    condition = alltrue(flatten([
      for measure in values(var.measures) : [
        for one in measure.direction_by_slice : [for values in values(one.dimension_filters) : try(length(values) >= 1 && alltrue([for value in values : value != null]), false)]
      ] if measure != null
    ]))
    error_message = "measures.*.direction_by_slice.dimension_filters must have at least one value for each dimension; got ${jsonencode({ for name, measure in var.measures : name => measure.direction_by_slice if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : measure.min == null || measure.max == null || try(measure.min <= measure.max, false) if measure != null])
    error_message = "measures.* must not have a min that is greater than its max; got ${jsonencode({ for name, measure in var.measures : name => { min = measure.min, max = measure.max } if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : contains(["all", "widest"], measure.bounded_series) if measure != null])
    error_message = "measures.*.bounded_series must be all or widest; got ${jsonencode({ for name, measure in var.measures : name => measure.bounded_series if measure != null })}."
  }

  validation {
    condition     = alltrue([for measure in values(var.measures) : measure.unit == null ? true : contains(["share", "amount", "count"], measure.unit) if measure != null])
    error_message = "measures.*.unit must be share, amount or count; got ${jsonencode({ for name, measure in var.measures : name => measure.unit if measure != null })}."
  }
}

variable "dimensions" {
  description = "Columns that split each measure into series, 0-10."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.dimensions) <= 10
    error_message = "dimensions must have at most 10 entries; got ${length(var.dimensions)}."
  }

  validation {
    condition     = alltrue([for name in var.dimensions : try(length(trimspace(name)) >= 1 && length(name) <= 127 && name != "*", false)])
    error_message = "dimensions must be names of columns, 1-127 characters and not *; got ${jsonencode(var.dimensions)}."
  }

  validation {
    condition     = length(distinct([for name in compact(var.dimensions) : lower(name)])) == length(compact(var.dimensions))
    error_message = "dimensions must not name a column twice, in any case; got ${jsonencode(var.dimensions)}."
  }

  validation {
    condition     = alltrue([for name in var.dimensions : !contains(local.reserved_columns, lower(name)) if name != null])
    error_message = "dimensions must not use the name of a results column (${join(", ", local.reserved_columns)}): rename the column in the query; got ${jsonencode(var.dimensions)}."
  }

  validation {
    condition     = length(setintersection([for name in compact(var.dimensions) : lower(name)], [for name in keys(var.measures) : lower(name)])) == 0
    error_message = "dimensions must not contain a measure; got ${jsonencode(var.dimensions)}."
  }

  validation {
    condition     = !contains([for name in compact(var.dimensions) : lower(name)], try(lower(var.timestamp_column.name), ""))
    error_message = "dimensions must not contain the timestamp column; got ${jsonencode(var.dimensions)}."
  }

  validation {
    condition = alltrue(flatten([
      for measure in values(var.measures) : [
        for one in measure.direction_by_slice : try(length(one.dimension_filters) >= 1 && alltrue([for name in keys(one.dimension_filters) : contains(var.dimensions, name)]), false)
      ] if measure != null
    ]))
    error_message = "measures.*.direction_by_slice.dimension_filters must be keyed by dimensions (${join(", ", var.dimensions)}); got ${jsonencode({ for name, measure in var.measures : name => measure.direction_by_slice if measure != null })}."
  }
}

variable "dimension_filters" {
  description = "Values to monitor, by dimension: a row counts only if every filtered dimension has one of its values. Values are compared exactly, including upper and lower case but without trailing blanks; `(null)` stands for NULL and `(*)` for the value `*`, as in alerts. Defaults to no filter."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.dimension_filters) : contains(var.dimensions, name)])
    error_message = "dimension_filters must be keyed by dimensions (${join(", ", var.dimensions)}); got ${jsonencode(keys(var.dimension_filters))}."
  }

  validation {
    condition     = alltrue([for values in values(var.dimension_filters) : try(length(values) >= 1, false)])
    error_message = "dimension_filters must have at least one value for each dimension; got ${jsonencode(var.dimension_filters)}."
  }

  validation {
    condition     = alltrue([for values in values(var.dimension_filters) : alltrue([for value in coalesce(values, []) : value != null])])
    error_message = "dimension_filters must not contain null: write \"(null)\" for NULL; got ${jsonencode(var.dimension_filters)}."
  }
}

variable "interval" {
  description = "Length of an interval: `PT5M`, `PT10M`, `PT15M`, `PT30M`, `PT1H`, `P1D`, `P1W` (from Monday) or `P1M` (calendar months)."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "P1D", "P1W", "P1M"], var.interval)
    error_message = "interval must be PT5M, PT10M, PT15M, PT30M, PT1H, P1D, P1W or P1M; got ${jsonencode(var.interval)}."
  }
}

variable "schedule" {
  description = <<-EOT
    When intervals are crawled.
    - `offset_seconds` - (Optional) Seconds to wait after an interval ends before it is crawled, 0-432000. Defaults to `300`.
    - `timezone` - (Optional) IANA time zone of the intervals and the schedule. Intervals of `P1D`, `P1W` and `P1M` follow its days, through daylight saving time. Defaults to `UTC`.
    - `enabled` - (Optional) Whether the schedule is enabled. The history is loaded and the detector trained in any case. Defaults to `true`.
  EOT
  type = object({
    offset_seconds = optional(number, 300)
    timezone       = optional(string, "UTC")
    enabled        = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.schedule.offset_seconds >= 0 && var.schedule.offset_seconds <= 432000 && floor(var.schedule.offset_seconds) == var.schedule.offset_seconds
    error_message = "schedule.offset_seconds must be a whole number from 0 to 432000; got ${var.schedule.offset_seconds}."
  }

  validation {
    condition     = contains(local.timezones, var.schedule.timezone)
    error_message = "schedule.timezone must be an IANA time zone such as Europe/Berlin, or UTC; got ${jsonencode(var.schedule.timezone)}."
  }
}

variable "history" {
  description = <<-EOT
    Historical data loaded once for training.
    - `start` - (Optional) Start of the history as an RFC 3339 timestamp, such as `2024-01-01T00:00:00Z`. Set at most one of this and `length`; with neither, the module loads 30-1826 days depending on `interval`.
    - `length` - (Optional) Length of the history in days, such as `P90D`.
    - `query` - (Optional) Query for the history, such as one that reads an archive table. It must return the same columns as `query` and follow the same rules. Defaults to `query`.
    - `chunk` - (Optional) Maximum time range that one UNLOAD reads, in days. Shorter ranges are used if a range has more rows than training reads at once (docs/capacity.md). Defaults to `P30D`.
    - `parallelism` - (Optional) Maximum number of concurrent UNLOADs, 1-40. Defaults to `4`.
  EOT
  type = object({
    start       = optional(string)
    length      = optional(string)
    query       = optional(string)
    chunk       = optional(string, "P30D")
    parallelism = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.history.start == null || var.history.length == null
    error_message = "history must have at most one of start and length; got ${jsonencode(var.history.start)} and ${jsonencode(var.history.length)}."
  }

  validation {
    condition     = var.history.start == null || can(formatdate("YYYY", var.history.start))
    error_message = "history.start must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got ${jsonencode(var.history.start)}."
  }

  validation {
    condition     = !can(timecmp(var.history.start, plantimestamp())) || try(timecmp(var.history.start, plantimestamp()) < 0, false)
    error_message = "history.start must be in the past; got ${jsonencode(var.history.start)}."
  }

  validation {
    condition     = var.history.length == null || can(regex("^P[1-9][0-9]{0,4}D$", var.history.length))
    error_message = "history.length must be a number of days such as P90D; got ${jsonencode(var.history.length)}."
  }

  validation {
    condition     = can(regex("^P[1-9][0-9]{0,4}D$", var.history.chunk))
    error_message = "history.chunk must be a number of days such as P30D; got ${jsonencode(var.history.chunk)}."
  }

  validation {
    condition     = var.history.parallelism >= 1 && var.history.parallelism <= 40 && floor(var.history.parallelism) == var.history.parallelism
    error_message = "history.parallelism must be a whole number from 1 to 40; got ${var.history.parallelism}."
  }

  validation {
    condition = var.history.query == null || alltrue([
      for name in ["window_start", "window_end"] :
      anytrue([for tokens in local.sql.tokens : can(regex(local.sql[name], replace(coalesce(var.history.query, " "), tokens, "$1$2 ")))])
    ])
    error_message = "history.query must contain both {{ window_start }} and {{ window_end }} outside of comments: filter the timestamp column with >= {{ window_start }} and < {{ window_end }}; got ${jsonencode(substr(coalesce(var.history.query, " "), 0, 200))}."
  }

  validation {
    condition     = var.history.query == null || alltrue([for found in regexall(local.sql.placeholder, coalesce(var.history.query, " ")) : contains(["window_start", "window_end"], found[0])])
    error_message = "history.query must contain no placeholder other than {{ window_start }} and {{ window_end }}; got ${jsonencode(distinct(flatten(regexall(local.sql.placeholder, coalesce(var.history.query, " ")))))}."
  }

  validation {
    condition     = var.history.query == null || can(regex(local.sql.select, coalesce(var.history.query, " ")))
    error_message = "history.query must start with SELECT or WITH; got ${jsonencode(substr(trimspace(coalesce(var.history.query, " ")), 0, 60))}."
  }

  validation {
    condition = var.history.query == null || alltrue([
      for pattern in values(local.sql.refused) : anytrue([for tokens in local.sql.tokens : !can(regex(pattern, replace(coalesce(var.history.query, " "), tokens, " ")))])
    ])
    error_message = "history.query ${join("; ", [
      for rule, pattern in local.sql.refused : rule if alltrue([for tokens in local.sql.tokens : can(regex(pattern, replace(coalesce(var.history.query, " "), tokens, " ")))])
    ])}; got ${jsonencode(substr(coalesce(var.history.query, " "), 0, 200))}."
  }

  validation {
    condition = var.history.query == null || anytrue([
      for tokens in local.sql.tokens :
      length(regexall("\\(", replace(coalesce(var.history.query, " "), tokens, " "))) == length(regexall("\\)", replace(coalesce(var.history.query, " "), tokens, " ")))
    ])
    error_message = "history.query must have balanced parentheses; got ${jsonencode(substr(coalesce(var.history.query, " "), 0, 200))}."
  }

  validation {
    condition     = var.history.query == null || length(base64encode(coalesce(var.history.query, " "))) * 3 / 4 <= local.sql.bytes + 2
    error_message = "history.query must be at most ${local.sql.bytes} bytes long, the limit of the Redshift Data API; got ${floor(length(base64encode(coalesce(var.history.query, " "))) * 3 / 4)} bytes."
  }
}

variable "detection" {
  description = <<-EOT
    Detection settings.
    - `rollups` - (Optional) Roll-ups to monitor in addition to the full combinations of dimension values: any of `total`, `single` (each dimension alone) and `pairs`. Defaults to all three.
    - `false_events_per_week` - (Optional) Expected number of false events per week, over all series, at severity 50; greater than 0, at most 1000. Defaults to one a week, but to one in 70 intervals where that is less: `0.1` at `P1D`, `0.014` at `P1W`, `0.003` at `P1M`.
    - `messages_per_week` - (Optional) Messages a week that you wish for; greater than 0, at most 1000. Of the events that training finds in the newest 30 % of the history, `reports/recommendation.json` in the bucket names the threshold for `alerts` that gives no more, and the ten strongest. Defaults to `1`.
    - `band` - (Optional) Share of normal values that lie between the bounds `lower` and `upper` of the scores, 0.5-0.999. It decides what charts show as normal, not what is an event. Defaults to `0.99`.
    - `season_intervals` - (Optional) Length of a season that the calendar does not have, in intervals, 2-1000: `12` for shifts of twelve hours in hourly data, `10` for a cycle of ten days in daily data. The seasons of day, week, two weeks, month, quarter and year are found without it.
    - `lookback_intervals` - (Optional) Number of earlier intervals that each crawl reads again to pick up late data, 0-24. Defaults to `3`.
    - `max_series` - (Optional) Maximum number of series (measures × combinations of dimension values, including roll-ups), 1-1000000. A query that returns more is rejected before the history is loaded. Defaults to as many as `lambda.memory_mb` can hold; see docs/capacity.md.
    - `shards` - (Optional) Number of parts that rows are unloaded in, so that the warehouse writes and the functions read in parallel, 1-64. One model scores all of them. Defaults to `1`.
  EOT
  type = object({
    rollups               = optional(list(string), ["total", "single", "pairs"])
    false_events_per_week = optional(number)
    messages_per_week     = optional(number, 1)
    band                  = optional(number, 0.99)
    season_intervals      = optional(number)
    lookback_intervals    = optional(number, 3)
    max_series            = optional(number)
    shards                = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(var.detection.rollups, ["total", "single", "pairs"])) == 0 && length(distinct(var.detection.rollups)) == length(var.detection.rollups)
    error_message = "detection.rollups must be any of total, single and pairs, each at most once; got ${jsonencode(var.detection.rollups)}."
  }

  validation {
    condition     = var.detection.false_events_per_week == null ? true : var.detection.false_events_per_week > 0 && var.detection.false_events_per_week <= 1000
    error_message = "detection.false_events_per_week must be greater than 0 and at most 1000; got ${jsonencode(var.detection.false_events_per_week)}."
  }

  validation {
    condition     = var.detection.messages_per_week > 0 && var.detection.messages_per_week <= 1000
    error_message = "detection.messages_per_week must be greater than 0 and at most 1000; got ${var.detection.messages_per_week}."
  }

  validation {
    condition     = var.detection.band >= 0.5 && var.detection.band <= 0.999
    error_message = "detection.band must be a number from 0.5 to 0.999; got ${var.detection.band}."
  }

  validation {
    condition     = var.detection.season_intervals == null ? true : var.detection.season_intervals >= 2 && var.detection.season_intervals <= 1000 && floor(var.detection.season_intervals) == var.detection.season_intervals
    error_message = "detection.season_intervals must be a whole number from 2 to 1000; got ${jsonencode(var.detection.season_intervals)}."
  }

  validation {
    condition     = var.detection.lookback_intervals >= 0 && var.detection.lookback_intervals <= 24 && floor(var.detection.lookback_intervals) == var.detection.lookback_intervals
    error_message = "detection.lookback_intervals must be a whole number from 0 to 24; got ${var.detection.lookback_intervals}."
  }

  validation {
    condition     = var.detection.max_series == null ? true : var.detection.max_series >= 1 && var.detection.max_series <= 1000000 && floor(var.detection.max_series) == var.detection.max_series
    error_message = "detection.max_series must be a whole number from 1 to 1000000; got ${jsonencode(var.detection.max_series)}."
  }

  validation {
    condition     = var.detection.shards >= 1 && var.detection.shards <= 64 && floor(var.detection.shards) == var.detection.shards
    error_message = "detection.shards must be a whole number from 1 to 64; got ${var.detection.shards}."
  }
}

variable "severity_classes" {
  description = <<-EOT
    Severities, 0-100, at which the classes `medium` and `high` begin; an event below is `low`. The class is told beside the number, and can be filtered by.
    - `medium` - (Optional) Defaults to `75`.
    - `high` - (Optional) At least `medium`. Defaults to `90`.
  EOT
  type = object({
    medium = optional(number, 75)
    high   = optional(number, 90)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.severity_classes.medium >= 0 && var.severity_classes.medium <= 100
    error_message = "severity_classes.medium must be a number from 0 to 100; got ${var.severity_classes.medium}."
  }

  validation {
    condition     = var.severity_classes.high >= 0 && var.severity_classes.high <= 100
    error_message = "severity_classes.high must be a number from 0 to 100; got ${var.severity_classes.high}."
  }

  validation {
    condition     = var.severity_classes.medium <= var.severity_classes.high
    error_message = "severity_classes must not have a medium that is greater than high; got ${var.severity_classes.medium} and ${var.severity_classes.high}."
  }
}

variable "alerts" {
  description = <<-EOT
    Alerts to send, at most 10, keyed by a name of your choice.
    - `threshold` - (Optional) Minimum severity of an event that is sent, 0-100. Defaults to `50`.
    - `description` - (Optional) Text sent with the alert.
    - `missing_data` - (Optional) Whether events of missing data are sent: no rows, far fewer rows than usual, or no values. Defaults to `true`.
    - `max_age_days` - (Optional) Age in days above which an event that is found late, by late rows or after an outage, is recorded but not sent. Defaults to `7`, or to `detection.lookback_intervals` and one interval if that is longer.
    - `digest_above` - (Optional) Number of alerts, 1-1000, above which those of one crawl are sent to a target as one message. Defaults to `10`.
    - `risen` - (Optional) Whether there is a message when the severity class of an event rises. Defaults to `true`.
    - `ended` - (Optional) Whether there is a message when an event has ended, or has lasted so long that it is the new level. Defaults to `true`.
    - `link_measures` - (Optional) Whether events that begin at about the same time and in the same place, in several measures or side by side in one, come as one message; JSON has the others in its key `linked`. Defaults to whether all targets are Slack, Teams or PagerDuty.
    - `digest` - (Optional) A digest of what the alert did not send at once: events below its threshold, muted ones, and intervals that were missed. Defaults to none.
      - `every` - (Optional) `day`, or `week` (from Monday). Defaults to `day`.
      - `hour` - (Optional) Hour in the detector's time zone, 0-23, at which the day or week ends; it is sent with the next crawl. Defaults to `8`.
    - `sns_topic_arns` - (Optional) ARNs of SNS topics to publish to: a text for e-mail, a sentence for SMS, JSON for all others. An alert without any target is published to the module's alerts topic. See docs/alerts.md.
    - `lambda_function_arns` - (Optional) ARNs of Lambda functions to invoke.
    - `event_bus_arns` - (Optional) ARNs of EventBridge event buses.
    - `slack_secret_arns` - (Optional) ARNs of Secrets Manager secrets that hold the address of an incoming webhook of Slack, or JSON with `token` (of a bot) and `channel`; with a token, all messages about an event are one thread.
    - `teams_secret_arns` - (Optional) ARNs of secrets that hold the address of a webhook (Workflows) of Microsoft Teams.
    - `pagerduty_secret_arns` - (Optional) ARNs of secrets that hold a routing key of PagerDuty's Events API v2, or JSON with `routing_key` and `url`.
    - `webhook_secret_arns` - (Optional) ARNs of secrets that hold JSON with `url` (https://) and `key`, with which the body is signed (HMAC-SHA256).
    - `kms_key_arns` - (Optional) ARNs of the customer managed KMS keys that these topics and secrets are encrypted with. The policy of a key in another account must allow this account to use it.
    - `measures` - (Optional) Measures to limit the alert to. Defaults to all.
    - `dimension_filters` - (Optional) Dimension values to limit the alert to, by dimension. Defaults to all.
  EOT
  type = map(object({
    threshold     = optional(number, 50)
    description   = optional(string)
    missing_data  = optional(bool, true)
    max_age_days  = optional(number)
    digest_above  = optional(number, 10)
    risen         = optional(bool, true)
    ended         = optional(bool, true)
    link_measures = optional(bool)
    digest = optional(object({
      every = optional(string, "day")
      hour  = optional(number, 8)
    }))
    sns_topic_arns        = optional(list(string), [])
    lambda_function_arns  = optional(list(string), [])
    event_bus_arns        = optional(list(string), [])
    slack_secret_arns     = optional(list(string), [])
    teams_secret_arns     = optional(list(string), [])
    pagerduty_secret_arns = optional(list(string), [])
    webhook_secret_arns   = optional(list(string), [])
    kms_key_arns          = optional(list(string), [])
    measures              = optional(list(string), [])
    dimension_filters     = optional(map(list(string)), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.alerts) <= 10
    error_message = "alerts must have at most 10 entries; got ${length(var.alerts)}."
  }

  validation {
    condition     = alltrue([for alert in values(var.alerts) : alert != null])
    error_message = "alerts.* must not be null: use {} for the defaults; got ${jsonencode(var.alerts)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.alerts) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))])
    error_message = "alerts must be keyed by names of 1-63 letters, digits, hyphens and underscores, starting with a letter or digit; got ${jsonencode(keys(var.alerts))}."
  }

  validation {
    condition     = alltrue([for alert in values(var.alerts) : alert.threshold >= 0 && alert.threshold <= 100 if alert != null])
    error_message = "alerts.*.threshold must be a number from 0 to 100; got ${jsonencode({ for name, alert in var.alerts : name => alert.threshold if alert != null })}."
  }

  validation {
    condition     = alltrue([for alert in values(var.alerts) : alert.max_age_days == null ? true : alert.max_age_days > 0 && alert.max_age_days <= 3650 if alert != null])
    error_message = "alerts.*.max_age_days must be greater than 0 and at most 3650; got ${jsonencode({ for name, alert in var.alerts : name => alert.max_age_days if alert != null })}."
  }

  validation {
    condition     = alltrue([for alert in values(var.alerts) : alert.digest_above >= 1 && alert.digest_above <= 1000 && floor(alert.digest_above) == alert.digest_above if alert != null])
    error_message = "alerts.*.digest_above must be a whole number from 1 to 1000; got ${jsonencode({ for name, alert in var.alerts : name => alert.digest_above if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.sns_topic_arns : can(regex(local.arns.topic, arn))] if alert != null]))
    error_message = "alerts.*.sns_topic_arns must be ARNs of SNS topics; got ${jsonencode({ for name, alert in var.alerts : name => alert.sns_topic_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.lambda_function_arns : can(regex(local.arns.function, arn))] if alert != null]))
    error_message = "alerts.*.lambda_function_arns must be ARNs of Lambda functions; got ${jsonencode({ for name, alert in var.alerts : name => alert.lambda_function_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.event_bus_arns : can(regex(local.arns.bus, arn))] if alert != null]))
    error_message = "alerts.*.event_bus_arns must be ARNs of EventBridge event buses; got ${jsonencode({ for name, alert in var.alerts : name => alert.event_bus_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.slack_secret_arns : can(regex(local.arns.secret, arn))] if alert != null]))
    error_message = "alerts.*.slack_secret_arns must be ARNs of Secrets Manager secrets; got ${jsonencode({ for name, alert in var.alerts : name => alert.slack_secret_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.teams_secret_arns : can(regex(local.arns.secret, arn))] if alert != null]))
    error_message = "alerts.*.teams_secret_arns must be ARNs of Secrets Manager secrets; got ${jsonencode({ for name, alert in var.alerts : name => alert.teams_secret_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.pagerduty_secret_arns : can(regex(local.arns.secret, arn))] if alert != null]))
    error_message = "alerts.*.pagerduty_secret_arns must be ARNs of Secrets Manager secrets; got ${jsonencode({ for name, alert in var.alerts : name => alert.pagerduty_secret_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for arn in alert.webhook_secret_arns : can(regex(local.arns.secret, arn))] if alert != null]))
    error_message = "alerts.*.webhook_secret_arns must be ARNs of Secrets Manager secrets; got ${jsonencode({ for name, alert in var.alerts : name => alert.webhook_secret_arns if alert != null })}."
  }

  validation {
    condition     = alltrue([for alert in values(var.alerts) : alert.digest == null ? true : contains(["day", "week"], alert.digest.every) if alert != null])
    error_message = "alerts.*.digest.every must be day or week; got ${jsonencode({ for name, alert in var.alerts : name => alert.digest if alert != null })}."
  }

  validation {
    condition     = alltrue([for alert in values(var.alerts) : alert.digest == null ? true : alert.digest.hour >= 0 && alert.digest.hour <= 23 && floor(alert.digest.hour) == alert.digest.hour if alert != null])
    error_message = "alerts.*.digest.hour must be a whole number from 0 to 23; got ${jsonencode({ for name, alert in var.alerts : name => alert.digest if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for measure in alert.measures : try(contains(keys(var.measures), measure), false)] if alert != null]))
    error_message = "alerts.*.measures must be measures (${join(", ", keys(var.measures))}); got ${jsonencode({ for name, alert in var.alerts : name => alert.measures if alert != null })}."
  }

  validation {
    condition = alltrue(flatten([
      for alert in values(var.alerts) : [
        for arn in alert.kms_key_arns : can(regex(local.arns.key, arn))
      ] if alert != null
    ]))
    error_message = "alerts.*.kms_key_arns must be ARNs of KMS keys, not of aliases; got ${jsonencode({ for name, alert in var.alerts : name => alert.kms_key_arns if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for name in keys(alert.dimension_filters) : contains(var.dimensions, name)] if alert != null]))
    error_message = "alerts.*.dimension_filters must be keyed by dimensions (${join(", ", var.dimensions)}); got ${jsonencode({ for name, alert in var.alerts : name => alert.dimension_filters if alert != null })}."
  }

  validation {
    condition     = alltrue(flatten([for alert in values(var.alerts) : [for values in values(alert.dimension_filters) : try(length(values) >= 1, false)] if alert != null]))
    error_message = "alerts.*.dimension_filters must have at least one value for each dimension; got ${jsonencode({ for name, alert in var.alerts : name => alert.dimension_filters if alert != null })}."
  }

  validation {
    condition = alltrue(flatten([
      for alert in values(var.alerts) : [
        for values in values(alert.dimension_filters) : [for value in coalesce(values, []) : value != null]
      ] if alert != null
    ]))
    error_message = "alerts.*.dimension_filters must not contain null: write \"(null)\" for NULL; got ${jsonencode({ for name, alert in var.alerts : name => alert.dimension_filters if alert != null })}."
  }
}

variable "mutes" {
  description = <<-EOT
    Alerts to hold back for a while, at most 100, keyed by a name of your choice. Events are found and recorded as usual; when a mute ends, the operations topic is told what it has held back, and an event that lasts is alerted on. See docs/people.md; the command `mute` does the same without an apply.
    - `end` - (Required) When it ends, an RFC 3339 timestamp such as `2024-01-01T00:00:00Z`.
    - `reason` - (Required) Why, 1-500 characters.
    - `start` - (Optional) When it begins. Defaults to at once.
    - `measures` - (Optional) Measures to limit it to. Defaults to all.
    - `dimension_filters` - (Optional) Dimension values to limit it to, by dimension: it holds for events all of whose slices lie within them. Defaults to all.
  EOT
  type = map(object({
    end               = string
    reason            = string
    start             = optional(string)
    measures          = optional(list(string), [])
    dimension_filters = optional(map(list(string)), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.mutes) <= 100
    error_message = "mutes must have at most 100 entries; got ${length(var.mutes)}."
  }

  validation {
    condition     = alltrue([for mute in values(var.mutes) : mute != null])
    error_message = "mutes.* must not be null; got ${jsonencode(var.mutes)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.mutes) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))])
    error_message = "mutes must be keyed by names of 1-63 letters, digits, hyphens and underscores, starting with a letter or digit; got ${jsonencode(keys(var.mutes))}."
  }

  validation {
    condition     = alltrue([for mute in values(var.mutes) : mute.start == null || can(timecmp(mute.start, mute.start)) if mute != null])
    error_message = "mutes.*.start must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got ${jsonencode({ for name, mute in var.mutes : name => mute.start if mute != null })}."
  }

  validation {
    condition     = alltrue([for mute in values(var.mutes) : can(timecmp(mute.end, mute.end)) if mute != null])
    error_message = "mutes.*.end must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got ${jsonencode({ for name, mute in var.mutes : name => mute.end if mute != null })}."
  }

  validation {
    condition     = alltrue([for mute in values(var.mutes) : try(timecmp(mute.start, mute.end) < 0, true) if mute != null])
    error_message = "mutes.* must start before its end; got ${jsonencode({ for name, mute in var.mutes : name => { start = mute.start, end = mute.end } if mute != null })}."
  }

  validation {
    condition     = alltrue([for mute in values(var.mutes) : try(length(trimspace(mute.reason)) >= 1 && length(mute.reason) <= 500, false) if mute != null])
    error_message = "mutes.*.reason must be a text of 1-500 characters; got ${jsonencode({ for name, mute in var.mutes : name => mute.reason if mute != null })}."
  }

  validation {
    condition     = alltrue(flatten([for mute in values(var.mutes) : [for measure in mute.measures : try(contains(keys(var.measures), measure), false)] if mute != null]))
    error_message = "mutes.*.measures must be measures (${join(", ", keys(var.measures))}); got ${jsonencode({ for name, mute in var.mutes : name => mute.measures if mute != null })}."
  }

  validation {
    condition     = alltrue(flatten([for mute in values(var.mutes) : [for name in keys(mute.dimension_filters) : contains(var.dimensions, name)] if mute != null]))
    error_message = "mutes.*.dimension_filters must be keyed by dimensions (${join(", ", var.dimensions)}); got ${jsonencode({ for name, mute in var.mutes : name => mute.dimension_filters if mute != null })}."
  }

  validation {
    condition     = alltrue(flatten([for mute in values(var.mutes) : [for values in values(mute.dimension_filters) : try(length(values) >= 1 && alltrue([for value in values : value != null]), false)] if mute != null]))
    error_message = "mutes.*.dimension_filters must have at least one value for each dimension; got ${jsonencode({ for name, mute in var.mutes : name => mute.dimension_filters if mute != null })}."
  }
}

variable "calendar" {
  description = <<-EOT
    Special days, each expected to be like the earlier ones of its name; the first of a name is silent. A change trains a new model. See docs/people.md.
    - `countries` - (Optional) Countries whose public holidays are special days, by ISO 3166 code such as `DE`, or with a part of the country such as `DE-BY` or `US-CA`. Their names begin with the code: `DE Christmas Day`. From 2015 to 2036, as the package `holidays` knows them; later versions of this module know more. Defaults to none.
    - `days` - (Optional) Dates such as `2024-11-29` of further special days by name; a country's day of the same date counts first.
    - `ical` - (Optional) iCalendar text, as `file("days.ics")` reads it: its events are special days by their summaries, in the time zone of `schedule`.
    - `silent` - (Optional) Names of days that are neither scored nor learned instead; `*` for all. Defaults to none.
  EOT
  type = object({
    countries = optional(list(string), [])
    days      = optional(map(list(string)), {})
    ical      = optional(string)
    silent    = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for code in var.calendar.countries :
      try(contains(keys(jsondecode(local.holidays[substr(code, 0, 2)])), trimprefix(substr(code, 2, -1), "-")) && can(regex("^[A-Z]{2}(-[^-].*)?$", code)), false)
    ])
    error_message = "calendar.countries must be ISO 3166 codes of countries such as DE, or of their parts such as DE-BY; got ${jsonencode(var.calendar.countries)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.calendar.days) : length(trimspace(name)) >= 1 && length(name) <= 100 && name != "*"])
    error_message = "calendar.days must be keyed by names of 1-100 characters and not *; got ${jsonencode(keys(var.calendar.days))}."
  }

  validation {
    condition = alltrue(flatten([
      for days in values(var.calendar.days) : [
        for day in coalesce(days, ["null"]) : try(can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", day)) && can(timeadd("${day}T00:00:00Z", "0s")), false)
      ]
    ]))
    error_message = "calendar.days must be dates such as 2024-12-25; got ${jsonencode(var.calendar.days)}."
  }

  validation {
    condition     = var.interval != "P1M" || (length(var.calendar.countries) == 0 && length(var.calendar.days) == 0 && var.calendar.ical == null)
    error_message = "calendar must not be set with months (P1M): every one has its special days."
  }

  validation {
    condition     = var.calendar.ical == null || can(regex("(?is)^\\s*begin:vcalendar\\b.*\\bend:vcalendar\\s*$", var.calendar.ical))
    error_message = "calendar.ical must be iCalendar text: it must begin with BEGIN:VCALENDAR, and end with END:VCALENDAR; got ${jsonencode(substr(coalesce(var.calendar.ical, " "), 0, 60))}."
  }

  validation {
    condition = length(var.calendar.countries) > 0 || var.calendar.ical != null || alltrue([
      for name in var.calendar.silent : name == "*" || contains(keys(var.calendar.days), name)
    ])
    error_message = "calendar.silent must be * or names of days (${join(", ", keys(var.calendar.days))}); got ${jsonencode(var.calendar.silent)}."
  }
}

variable "incidents" {
  description = <<-EOT
    Times, past or planned (maintenance), in which values tell nothing, at most 500, keyed by a name of your choice: they are neither scored nor learned, so that they neither alert nor teach. Series that share rows with them, such as the total, are left out for that time, too. A change trains a new model. See docs/people.md.
    - `start` - (Required) When it began or begins, an RFC 3339 timestamp such as `2024-01-01T00:00:00Z`. Intervals that overlap with it are left out whole.
    - `end` - (Required) When it ended or ends.
    - `reason` - (Required) Why, 1-500 characters.
    - `measures` - (Optional) Measures to limit it to. Defaults to all.
    - `dimension_filters` - (Optional) Dimension values to limit it to, by dimension. Defaults to all.
  EOT
  type = map(object({
    start             = string
    end               = string
    reason            = string
    measures          = optional(list(string), [])
    dimension_filters = optional(map(list(string)), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.incidents) <= 500
    error_message = "incidents must have at most 500 entries; got ${length(var.incidents)}."
  }

  validation {
    condition     = alltrue([for incident in values(var.incidents) : incident != null])
    error_message = "incidents.* must not be null; got ${jsonencode(var.incidents)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.incidents) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", name))])
    error_message = "incidents must be keyed by names of 1-63 letters, digits, hyphens and underscores, starting with a letter or digit; got ${jsonencode(keys(var.incidents))}."
  }

  validation {
    condition     = alltrue([for incident in values(var.incidents) : can(timecmp(incident.start, incident.start)) if incident != null])
    error_message = "incidents.*.start must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got ${jsonencode({ for name, incident in var.incidents : name => incident.start if incident != null })}."
  }

  validation {
    condition     = alltrue([for incident in values(var.incidents) : can(timecmp(incident.end, incident.end)) if incident != null])
    error_message = "incidents.*.end must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got ${jsonencode({ for name, incident in var.incidents : name => incident.end if incident != null })}."
  }

  validation {
    condition     = alltrue([for incident in values(var.incidents) : try(timecmp(incident.start, incident.end) < 0, true) if incident != null])
    error_message = "incidents.* must start before its end; got ${jsonencode({ for name, incident in var.incidents : name => { start = incident.start, end = incident.end } if incident != null })}."
  }

  validation {
    condition     = alltrue([for incident in values(var.incidents) : try(length(trimspace(incident.reason)) >= 1 && length(incident.reason) <= 500, false) if incident != null])
    error_message = "incidents.*.reason must be a text of 1-500 characters; got ${jsonencode({ for name, incident in var.incidents : name => incident.reason if incident != null })}."
  }

  validation {
    condition     = alltrue(flatten([for incident in values(var.incidents) : [for measure in incident.measures : try(contains(keys(var.measures), measure), false)] if incident != null]))
    error_message = "incidents.*.measures must be measures (${join(", ", keys(var.measures))}); got ${jsonencode({ for name, incident in var.incidents : name => incident.measures if incident != null })}."
  }

  validation {
    condition     = alltrue(flatten([for incident in values(var.incidents) : [for name in keys(incident.dimension_filters) : contains(var.dimensions, name)] if incident != null]))
    error_message = "incidents.*.dimension_filters must be keyed by dimensions (${join(", ", var.dimensions)}); got ${jsonencode({ for name, incident in var.incidents : name => incident.dimension_filters if incident != null })}."
  }

  validation {
    condition     = alltrue(flatten([for incident in values(var.incidents) : [for values in values(incident.dimension_filters) : try(length(values) >= 1 && alltrue([for value in values : value != null]), false)] if incident != null]))
    error_message = "incidents.*.dimension_filters must have at least one value for each dimension; got ${jsonencode({ for name, incident in var.incidents : name => incident.dimension_filters if incident != null })}."
  }
}

variable "subscriptions" {
  description = <<-EOT
    Subscriptions to the module's SNS topics, keyed by a name of your choice. Email subscriptions must be confirmed by the recipient; the policy of a subscribed queue or function must allow the topic.
    - `alerts` - (Optional) Subscriptions to the alerts topic:
      - `protocol` - (Required) `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
      - `endpoint` - (Required) Email address, phone number, URL or ARN.
    - `operations` - (Optional) Subscriptions to the operations topic, which receives failures and alarms; same keys.
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
    condition     = alltrue([for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) : subscription != null])
    error_message = "subscriptions.*.* must not be null: leave the entry out; got ${jsonencode(var.subscriptions)}."
  }

  validation {
    condition = alltrue([
      for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) :
      contains(keys(local.endpoints), subscription.protocol) if subscription != null
    ])
    error_message = "subscriptions.*.*.protocol must be ${join(", ", slice(keys(local.endpoints), 0, length(local.endpoints) - 1))} or ${keys(local.endpoints)[length(local.endpoints) - 1]}; got ${jsonencode(distinct([for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) : subscription.protocol if subscription != null]))}."
  }

  validation {
    condition = alltrue([
      for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) :
      can(regex(lookup(local.endpoints, subscription.protocol, ""), subscription.endpoint)) if subscription != null
    ])
    error_message = "subscriptions.*.*.endpoint must fit the protocol: an email address, a URL https://…, a phone number +…, or the ARN of a Lambda function or of an SQS queue that is not FIFO; got ${jsonencode([for subscription in concat(values(var.subscriptions.alerts), values(var.subscriptions.operations)) : subscription if subscription != null])}."
  }
}

variable "dashboard" {
  description = <<-EOT
    A dashboard in CloudWatch with the events, their charts and the detector's state, which a function draws. People need `lambda:InvokeFunction` on the function `<name>-console` to see them, and on `<name>-respond` to give feedback and mute alerts.
    - `enabled` - (Optional) Whether there is one. The first three dashboards of an account are free, each further one costs $3 a month. Defaults to `false`.
  EOT
  type = object({
    enabled = optional(bool, false)
  })
  default  = {}
  nullable = false
}

variable "monitoring" {
  description = <<-EOT
    Monitoring of the detector itself.
    - `silence_intervals` - (Optional) Number of intervals, 1-7, after which it is reported that none has been scored, or that a new configuration has not come into force. Defaults to `3`.
  EOT
  type = object({
    silence_intervals = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.monitoring.silence_intervals >= 1 && var.monitoring.silence_intervals <= 7 && floor(var.monitoring.silence_intervals) == var.monitoring.silence_intervals
    error_message = "monitoring.silence_intervals must be a whole number from 1 to 7; got ${var.monitoring.silence_intervals}."
  }
}

variable "budget" {
  description = <<-EOT
    What the detector's statements may take in the warehouse in a calendar month (UTC). When it is spent, crawls pause until the next month and make up for all intervals then. A history that is expected to take more is not loaded.
    - `seconds` - (Optional) Run time of statements.
    - `dollars` - (Optional) Cost of that run time at `dollars_per_hour`; each statement counts as a minute at least, as Redshift Serverless charges it.
    - `dollars_per_hour` - (Optional) Price of an hour of the warehouse. Defaults to `3`, which is 8 RPU in us-east-1.
  EOT
  type = object({
    seconds          = optional(number)
    dollars          = optional(number)
    dollars_per_hour = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in [var.budget.seconds, var.budget.dollars, var.budget.dollars_per_hour] : value == null ? true : value > 0])
    error_message = "budget.seconds, budget.dollars and budget.dollars_per_hour must be greater than 0; got ${jsonencode(var.budget)}."
  }
}

variable "encryption" {
  description = <<-EOT
    Customer managed KMS key for the bucket, table, topics, queue, logs, schedule and function environments. Defaults to null: AWS owned and AWS managed keys. The key policy must allow
    the account's roles and the services `logs.<region>`, `cloudwatch`, `events` and `sns` to use the key; see `examples/complete`.
    - `kms_key_arn` - (Required) ARN of the KMS key.
  EOT
  type = object({
    kms_key_arn = string
  })
  default = null

  validation {
    condition     = var.encryption == null || can(regex(local.arns.key, var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a KMS key, not of an alias; got ${jsonencode(try(var.encryption.kms_key_arn, null))}."
  }
}

variable "logging" {
  description = <<-EOT
    Logging and tracing of the functions and state machines.
    - `retention_days` - (Optional) Log retention in days, one of the values that CloudWatch Logs supports; `0` keeps logs forever. Defaults to `365`.
    - `level` - (Optional) Log level: `DEBUG`, `INFO`, `WARNING` or `ERROR`. Defaults to `INFO`.
    - `tracing` - (Optional) Whether AWS X-Ray traces are recorded. Defaults to `true`.
    - `row_values` - (Optional) Whether the functions log complete error texts of the warehouse and of unreadable files. Such texts may quote values of rows, which are cut out of everything else: the detector's status, the executions' history and notifications. Defaults to `false`.
  EOT
  type = object({
    retention_days = optional(number, 365)
    level          = optional(string, "INFO")
    tracing        = optional(bool, true)
    row_values     = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.logging.retention_days
    )
    error_message = "logging.retention_days must be 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653; got ${var.logging.retention_days}."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.logging.level)
    error_message = "logging.level must be DEBUG, INFO, WARNING or ERROR; got ${jsonencode(var.logging.level)}."
  }
}

variable "lambda" {
  description = <<-EOT
    Runtime settings of the Lambda functions.
    - `runtime` - (Optional) `python3.11`, `python3.12` or `python3.13`. Defaults to `python3.13`.
    - `architecture` - (Optional) `arm64` or `x86_64`. Defaults to `arm64`.
    - `memory_mb` - (Optional) Memory in MB of the functions that process data, 512-10240. The query check reports how much a detector needs; see docs/capacity.md. Defaults to `1769`, which provides one vCPU.
    - `layers` - (Optional) ARNs of layer versions that provide numpy, pyarrow, Powertools and pydantic; `[]` for no layer. Defaults to the AWS managed layers, looked up in the public parameters of Systems Manager. Set this input in Regions and partitions without them (China, GovCloud, some newer Regions).
    - `package` - (Optional) Deployment package in S3 to use instead of the bundled one:
      - `bucket` - (Required) Name of the bucket.
      - `key` - (Required) Key of the object.
      - `version` - (Optional) Version ID of the object.
      - `hash` - (Required) Base64-encoded SHA-256 hash of the object.
    - `sdk_for_pandas_version` - (Optional) Version of the AWS SDK for pandas layer. Defaults to `3.17.1`, the version that the package is tested with (`layers.toml`).
    - `powertools_version` - (Optional) Version of the Powertools layer. Defaults to `3.34.0`, the version that the package is tested with (`layers.toml`).
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
    error_message = "lambda.runtime must be python3.11, python3.12 or python3.13, which both layers support; got ${jsonencode(var.lambda.runtime)}."
  }

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda.architecture)
    error_message = "lambda.architecture must be arm64 or x86_64; got ${jsonencode(var.lambda.architecture)}."
  }

  validation {
    condition     = alltrue([for arn in coalesce(var.lambda.layers, []) : can(regex(local.arns.layer, arn))]) && length(coalesce(var.lambda.layers, [])) <= 5
    error_message = "lambda.layers must be at most 5 ARNs of layer versions, each ending in its version number, such as …:layer:numpy:1; got ${jsonencode(var.lambda.layers)}."
  }

  validation {
    condition     = var.lambda.memory_mb >= 512 && var.lambda.memory_mb <= 10240 && floor(var.lambda.memory_mb) == var.lambda.memory_mb
    error_message = "lambda.memory_mb must be a whole number from 512 to 10240; got ${var.lambda.memory_mb}."
  }
}

variable "iam" {
  description = <<-EOT
    Settings applied to every IAM role.
    - `path` - (Optional) IAM path of the roles; starts and ends with a slash. Defaults to `/`.
    - `permissions_boundary_arn` - (Optional) ARN of the permissions boundary of the roles. Defaults to none.
  EOT
  type = object({
    path                     = optional(string, "/")
    permissions_boundary_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.iam.path)) && length(var.iam.path) <= 512
    error_message = "iam.path must start and end with a slash, contain no spaces and have at most 512 characters; got ${jsonencode(var.iam.path)}."
  }

  validation {
    condition     = var.iam.permissions_boundary_arn == null || can(regex(local.arns.policy, var.iam.permissions_boundary_arn))
    error_message = "iam.permissions_boundary_arn must be the ARN of an IAM policy; got ${jsonencode(var.iam.permissions_boundary_arn)}."
  }
}

variable "storage" {
  description = <<-EOT
    Settings of the bucket and the table.
    - `bucket_name` - (Optional) Name of the bucket. Defaults to `<name>-<account>-<region>`.
    - `force_destroy` - (Optional) Whether destroy deletes the bucket even if it holds objects. Defaults to `false`.
    - `history_retention_days` - (Optional) Days to keep the unloaded rows of the history, at least 30. Defaults to null: forever, so that training again does not have to unload again.
    - `live_retention_days` - (Optional) Days to keep the unloaded rows of crawls, at least 30. Defaults to `90`. Every crawl unloads its look-back again, so nothing reads them after their interval is published.
    - `results_retention_days` - (Optional) Days to keep results, at least 1. Defaults to null: forever.
    - `point_in_time_recovery` - (Optional) Whether point-in-time recovery of the table is enabled. Defaults to `true`.
    - `athena_workgroup` - (Optional) Existing Athena workgroup in which the ten queries are saved. Defaults to `primary`.
    - `configuration_writer_arns` - (Optional) ARNs of the IAM users and roles that may write and delete the configuration (`config/` in the bucket), besides the detector's own functions; the bucket policy denies it to all others, whatever their own policies say. Name the role that applies the module as well. `*` stands for any characters, as in `role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Deploy_*` at the end of an ARN. Defaults to null: whoever may write to the bucket.
  EOT
  type = object({
    bucket_name               = optional(string)
    force_destroy             = optional(bool, false)
    history_retention_days    = optional(number)
    live_retention_days       = optional(number, 90)
    results_retention_days    = optional(number)
    point_in_time_recovery    = optional(bool, true)
    athena_workgroup          = optional(string, "primary")
    configuration_writer_arns = optional(list(string))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.storage.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.storage.bucket_name))
    error_message = "storage.bucket_name must be 3-63 lowercase letters, digits and hyphens, starting and ending with a letter or digit; got ${jsonencode(var.storage.bucket_name)}."
  }

  validation {
    condition     = can(regex("^[a-zA-Z0-9._-]{1,128}$", var.storage.athena_workgroup))
    error_message = "storage.athena_workgroup must be the name of an Athena workgroup, 1-128 letters, digits and . _ -; got ${jsonencode(var.storage.athena_workgroup)}."
  }

  validation {
    condition     = var.storage.bucket_name == null || !can(regex("^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$", coalesce(var.storage.bucket_name, "-")))
    error_message = "storage.bucket_name must not start with xn--, sthree- or amzn-s3-demo-, nor end with -s3alias, --ol-s3, --x-s3 or --table-s3, which S3 reserves; got ${jsonencode(var.storage.bucket_name)}."
  }

  validation {
    condition     = try(var.storage.history_retention_days >= 30 && floor(var.storage.history_retention_days) == var.storage.history_retention_days, var.storage.history_retention_days == null)
    error_message = "storage.history_retention_days must be a whole number, at least 30, or null; got ${jsonencode(var.storage.history_retention_days)}."
  }

  validation {
    condition     = var.storage.live_retention_days >= 30 && floor(var.storage.live_retention_days) == var.storage.live_retention_days
    error_message = "storage.live_retention_days must be a whole number, at least 30; got ${var.storage.live_retention_days}."
  }

  validation {
    condition     = try(var.storage.results_retention_days >= 1 && floor(var.storage.results_retention_days) == var.storage.results_retention_days, var.storage.results_retention_days == null)
    error_message = "storage.results_retention_days must be a whole number, at least 1, or null; got ${jsonencode(var.storage.results_retention_days)}."
  }

  validation {
    condition = var.storage.configuration_writer_arns == null ? true : length(var.storage.configuration_writer_arns) > 0 && alltrue([
      for arn in var.storage.configuration_writer_arns : can(regex(local.arns.writer, arn))
    ])
    error_message = "storage.configuration_writer_arns must be ARNs of IAM users or roles, at least one, or null; got ${jsonencode(var.storage.configuration_writer_arns)}."
  }
}

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
