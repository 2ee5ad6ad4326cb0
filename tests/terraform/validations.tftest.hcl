# Each run is one bad input. The comment `says` is part of the message that the user must see: terraform test cannot compare
# messages, so tests/terraform/test_messages.py runs the same cases once more and does.
mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

variables {
  name             = "shop"
  redshift         = { cluster_identifier = "analytics", database = "prod" }
  query            = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
  timestamp_column = { name = "ts" }
  measures         = { revenue = {} }
  dimensions       = ["country", "channel"]
  interval         = "PT1H"
}

run "name_missing" {
  # says: name must be given, here or as detector_name in params_json
  command = plan

  variables {
    name = null
  }

  expect_failures = [var.name]
}

run "name_with_capitals" {
  # says: it is "Shop"
  command = plan

  variables {
    name = "Shop"
  }

  expect_failures = [var.name]
}

run "name_too_long" {
  # says: name must be 1-32 lower case letters
  command = plan

  variables {
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.name]
}

run "name_ends_with_hyphen" {
  # says: begin and end with a letter or digit
  command = plan

  variables {
    name = "shop-"
  }

  expect_failures = [var.name]
}

run "workgroup_name_too_short" {
  # says: 3-64 lower case letters, digits and hyphens; it is "wg"
  command = plan

  variables {
    redshift = { workgroup_name = "wg", database = "prod" }
  }

  expect_failures = [var.redshift]
}

run "serverless_of_a_cluster" {
  # says: redshift.serverless goes with workgroup_name, not with cluster_identifier
  command = plan

  variables {
    redshift = {
      cluster_identifier = "a"
      database           = "prod"
      serverless = {
        workgroup_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0a1b2c3d"
        namespace_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/4e5f6a7b"
      }
    }
  }

  expect_failures = [var.redshift]
}

run "serverless_without_ids" {
  # says: needs workgroup_arn and namespace_arn, ARNs that end in the ids of both
  command = plan

  variables {
    redshift = {
      workgroup_name = "analytics"
      database       = "prod"
      serverless = {
        workgroup_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/*"
        namespace_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/4e5f6a7b"
      }
    }
  }

  expect_failures = [var.redshift]
}

run "serverless_roles_that_are_patterns" {
  # says: redshift.serverless.iam_role_arns must be ARNs of roles; it is ["arn:aws:iam::123456789012:role/*"]
  command = plan

  variables {
    redshift = {
      workgroup_name = "analytics"
      database       = "prod"
      serverless = {
        workgroup_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0a1b2c3d"
        namespace_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/4e5f6a7b"
        iam_role_arns = ["arn:aws:iam::123456789012:role/*"]
      }
    }
  }

  expect_failures = [var.redshift]
}

run "cluster_by_its_host" {
  # says: 1-63 lower case letters, digits and hyphens, and begin with a letter; it is "shop.abc.redshift.amazonaws.com"
  command = plan

  variables {
    redshift = { cluster_identifier = "shop.abc.redshift.amazonaws.com", database = "prod" }
  }

  expect_failures = [var.redshift]
}

run "no_warehouse" {
  # says: exactly one of cluster_identifier and workgroup_name; they are null and null
  command = plan

  variables {
    redshift = { database = "prod" }
  }

  expect_failures = [var.redshift]
}

run "two_warehouses" {
  # says: they are "a" and "b"
  command = plan

  variables {
    redshift = { cluster_identifier = "a", workgroup_name = "b", database = "prod" }
  }

  expect_failures = [var.redshift]
}

run "database_empty" {
  # says: redshift.database must be 1-127 characters
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "" }
  }

  expect_failures = [var.redshift]
}

run "secret_and_user" {
  # says: at most one of secret_arn and db_user
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s-AbCdEf", db_user = "u" }
  }

  expect_failures = [var.redshift]
}

run "user_of_workgroup" {
  # says: redshift.db_user goes with a cluster
  command = plan

  variables {
    redshift = { workgroup_name = "w", database = "prod", db_user = "u" }
  }

  expect_failures = [var.redshift]
}

run "secret_by_name" {
  # says: redshift.secret_arn must be the ARN of a secret; it is "my-secret"
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", secret_arn = "my-secret" }
  }

  expect_failures = [var.redshift]
}

run "secret_key_is_alias" {
  # says: redshift.secret_kms_key_arn must be the ARN of a KMS key, not of an alias
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", secret_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/a" }
  }

  expect_failures = [var.redshift]
}

run "unload_role_given_and_created" {
  # says: must be given where unload_role.create is false, and only there
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", unload_role = { arn = "default" } }
  }

  expect_failures = [var.redshift]
}

run "unload_role_neither" {
  # says: create is false and arn null
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", unload_role = { create = false } }
  }

  expect_failures = [var.redshift]
}

run "unload_role_by_name" {
  # says: or default; it is "role"
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", unload_role = { create = false, arn = "role" } }
  }

  expect_failures = [var.redshift]
}

run "unload_role_chain_with_blank" {
  # says: a chain of them divided by commas without blanks
  command = plan

  variables {
    redshift = { cluster_identifier = "a", database = "prod", unload_role = { create = false, arn = "arn:aws:iam::123456789012:role/a, arn:aws:iam::123456789012:role/b" } }
  }

  expect_failures = [var.redshift]
}

run "query_without_end" {
  # says: query must contain both {{ window_start }} and {{ window_end }}
  command = plan

  variables {
    query = "select * from orders where ts >= {{ window_start }}"
  }

  expect_failures = [var.query]
}

run "query_without_start" {
  # says: query must contain both {{ window_start }} and {{ window_end }}
  command = plan

  variables {
    query = "select * from orders where ts < {{ window_end }}"
  }

  expect_failures = [var.query]
}

run "query_other_placeholder" {
  # says: it holds ["table","window_start","window_end"]
  command = plan

  variables {
    query = "select * from {{ table }} where ts >= {{ window_start }} and ts < {{ window_end }}"
  }

  expect_failures = [var.query]
}

run "history_query_other_placeholder" {
  # says: history_query must hold no other placeholder
  command = plan

  variables {
    history_query = "select * from {{ table }} where ts >= {{ window_start }} and ts < {{ window_end }}"
  }

  expect_failures = [var.history_query]
}

run "query_deletes" {
  # says: query must begin with SELECT or WITH; it begins with "delete from orders
  command = plan

  variables {
    query = "delete from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
  }

  expect_failures = [var.query]
}

run "query_is_two" {
  # says: query must be one statement
  command = plan

  variables {
    query = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}; drop table orders"
  }

  expect_failures = [var.query]
}

run "query_is_two_after_text" {
  # says: query must be one statement
  command = plan

  variables {
    query = "select ';' from orders where ts >= {{ window_start }} and ts < {{ window_end }}; select 1"
  }

  expect_failures = [var.query]
}

run "query_too_long" {
  # says: query must be at most 100 KB
  command = plan

  variables {
    query = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }} -- ${join("", [for i in range(1000) : "a comment that is long enough to make the query too long in a thousand repetitions, which takes some 110 characters"])}"
  }

  expect_failures = [var.query]
}

run "history_query_without_end" {
  # says: history_query must contain both
  command = plan

  variables {
    history_query = "select * from orders where ts >= {{ window_start }}"
  }

  expect_failures = [var.history_query]
}

run "history_query_updates" {
  # says: history_query must begin with SELECT or WITH
  command = plan

  variables {
    history_query = "update orders set a = 1 where ts >= {{ window_start }} and ts < {{ window_end }}"
  }

  expect_failures = [var.history_query]
}

run "history_query_is_two" {
  # says: history_query must be one statement
  command = plan

  variables {
    history_query = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}; select 1"
  }

  expect_failures = [var.history_query]
}

run "history_query_too_long" {
  # says: history_query must be at most 100 KB
  command = plan

  variables {
    history_query = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }} -- ${join("", [for i in range(1000) : "a comment that is long enough to make the query too long in a thousand repetitions, which takes some 110 characters"])}"
  }

  expect_failures = [var.history_query]
}

run "timestamp_missing" {
  # says: timestamp_column must be given
  command = plan

  variables {
    timestamp_column = null
  }

  expect_failures = [var.timestamp_column]
}

run "timestamp_empty" {
  # says: timestamp_column.name must be 1-127 characters
  command = plan

  variables {
    timestamp_column = { name = "" }
  }

  expect_failures = [var.timestamp_column]
}

run "timestamp_format" {
  # says: timestamp_column.format must name year, month and day as in yyyy-MM-dd HH:mm:ss; it is "YYYY-MM-DD"
  command = plan

  variables {
    timestamp_column = { name = "ts", format = "YYYY-MM-DD" }
  }

  expect_failures = [var.timestamp_column]
}

run "timestamp_timezone" {
  # says: timestamp_column.timezone must be an IANA time zone such as Europe/Berlin, or UTC; it is "CET+1"
  command = plan

  variables {
    timestamp_column = { name = "ts", timezone = "CET+1" }
  }

  expect_failures = [var.timestamp_column]
}

run "measures_missing" {
  # says: given here or as metrics_set in params_json; there are 0
  command = plan

  variables {
    measures = null
  }

  expect_failures = [var.measures]
}

run "measures_none" {
  # says: measures must be 1 to 10
  command = plan

  variables {
    measures = {}
  }

  expect_failures = [var.measures]
}

run "measures_eleven" {
  # says: there are 11
  command = plan

  variables {
    measures = { for i in range(11) : "m${i}" => {} }
  }

  expect_failures = [var.measures]
}

run "measure_without_name" {
  # says: Names of measures must be 1-127 characters
  command = plan

  variables {
    measures = { "" = {} }
  }

  expect_failures = [var.measures]
}

run "measure_aggregation" {
  # says: must be SUM, AVG, MIN, MAX or COUNT; given: {"revenue":"MEDIAN"}
  command = plan

  variables {
    measures = { revenue = { aggregation = "MEDIAN" } }
  }

  expect_failures = [var.measures]
}

run "measure_direction" {
  # says: must be up, down or both; given: {"revenue":"sideways"}
  command = plan

  variables {
    measures = { revenue = { direction = "sideways" } }
  }

  expect_failures = [var.measures]
}

run "measure_negative_change" {
  # says: must be 0 or more
  command = plan

  variables {
    measures = { revenue = { min_absolute_change = -1 } }
  }

  expect_failures = [var.measures]
}

run "dimensions_eleven" {
  # says: dimensions must be at most 10; there are 11
  command = plan

  variables {
    dimensions = [for i in range(11) : "d${i}"]
  }

  expect_failures = [var.dimensions]
}

run "dimension_without_name" {
  # says: Names of dimensions must be 1-127 characters
  command = plan

  variables {
    dimensions = [""]
  }

  expect_failures = [var.dimensions]
}

run "dimension_twice" {
  # says: dimensions must not name a column twice
  command = plan

  variables {
    dimensions = ["country", "Country"]
  }

  expect_failures = [var.dimensions]
}

run "dimension_reserved" {
  # says: rename the column in the query. They are ["Severity"]
  command = plan

  variables {
    dimensions = ["Severity"]
  }

  expect_failures = [var.dimensions]
}

run "dimension_is_measure" {
  # says: both name ["revenue"]
  command = plan

  variables {
    dimensions = ["country", "revenue"]
  }

  expect_failures = [var.dimensions]
}

run "dimension_is_timestamp" {
  # says: dimensions must not hold the timestamp column; it is "ts"
  command = plan

  variables {
    dimensions = ["ts"]
  }

  expect_failures = [var.dimensions]
}

run "filter_of_no_dimension" {
  # says: Keys of dimension_filters must be dimensions (country, channel); they are ["city"]
  command = plan

  variables {
    dimension_filters = { city = ["Rome"] }
  }

  expect_failures = [var.dimension_filters]
}

run "filter_without_value" {
  # says: must hold at least one value
  command = plan

  variables {
    dimension_filters = { country = [] }
  }

  expect_failures = [var.dimension_filters]
}

run "interval_missing" {
  # says: given here or as detector_frequency in params_json; it is null
  command = plan

  variables {
    interval = null
  }

  expect_failures = [var.interval]
}

run "interval_unknown" {
  # says: interval must be PT5M, PT10M, PT15M, PT30M, PT1H or P1D
  command = plan

  variables {
    interval = "PT2H"
  }

  expect_failures = [var.interval]
}

run "timezone_abbreviation" {
  # says: timezone must be an IANA time zone such as Europe/Berlin, or UTC; it is "CEST"
  command = plan

  variables {
    timezone = "CEST"
  }

  expect_failures = [var.timezone]
}

run "offset_negative" {
  # says: offset_seconds must be a whole number from 0 to 432000; it is -1
  command = plan

  variables {
    offset_seconds = -1
  }

  expect_failures = [var.offset_seconds]
}

run "offset_too_large" {
  # says: it is 432001
  command = plan

  variables {
    offset_seconds = 432001
  }

  expect_failures = [var.offset_seconds]
}

run "offset_fraction" {
  # says: offset_seconds must be a whole number
  command = plan

  variables {
    offset_seconds = 0.5
  }

  expect_failures = [var.offset_seconds]
}

run "history_start_and_length" {
  # says: history takes at most one of start and length
  command = plan

  variables {
    history = { start = "2024-01-01T00:00:00Z", length = "P90D" }
  }

  expect_failures = [var.history]
}

run "history_start_date_only" {
  # says: history.start must be an RFC 3339 time such as 2024-01-01T00:00:00Z; it is "2024-01-01"
  command = plan

  variables {
    history = { start = "2024-01-01" }
  }

  expect_failures = [var.history]
}

run "history_length" {
  # says: history.length must be a number of days such as P90D; it is "P3M"
  command = plan

  variables {
    history = { length = "P3M" }
  }

  expect_failures = [var.history]
}

run "history_chunk" {
  # says: history.chunk must be a number of days such as P30D; it is "P0D"
  command = plan

  variables {
    history = { chunk = "P0D" }
  }

  expect_failures = [var.history]
}

run "history_parallelism" {
  # says: history.parallelism must be a whole number from 1 to 40; it is 41
  command = plan

  variables {
    history = { parallelism = 41 }
  }

  expect_failures = [var.history]
}

run "lookback_too_long" {
  # says: lookback_intervals must be a whole number from 0 to 24; it is 25
  command = plan

  variables {
    lookback_intervals = 25
  }

  expect_failures = [var.lookback_intervals]
}

run "rollups_unknown" {
  # says: rollups must be any of total, single and pairs, each once; they are ["triples"]
  command = plan

  variables {
    rollups = ["triples"]
  }

  expect_failures = [var.rollups]
}

run "rollups_twice" {
  # says: each once
  command = plan

  variables {
    rollups = ["total", "total"]
  }

  expect_failures = [var.rollups]
}

run "false_events_none" {
  # says: must be more than 0 and at most 1000; it is 0
  command = plan

  variables {
    false_events_per_week = 0
  }

  expect_failures = [var.false_events_per_week]
}

run "max_series_too_many" {
  # says: max_series must be a whole number from 1 to 1000000
  command = plan

  variables {
    max_series = 1000001
  }

  expect_failures = [var.max_series]
}

run "shards_none" {
  # says: shards must be a whole number from 1 to 64; it is 0
  command = plan

  variables {
    shards = 0
  }

  expect_failures = [var.shards]
}

run "alerts_eleven" {
  # says: alerts must be at most 10; there are 11
  command = plan

  variables {
    alerts = { for i in range(11) : "a${i}" => {} }
  }

  expect_failures = [var.alerts]
}

run "alert_name" {
  # says: Names of alerts must be 1-63 letters, digits, hyphens and underscores
  command = plan

  variables {
    alerts = { "a b" = {} }
  }

  expect_failures = [var.alerts]
}

run "alert_threshold" {
  # says: alerts.*.threshold must be 0-100; given: {"a":101}
  command = plan

  variables {
    alerts = { a = { threshold = 101 } }
  }

  expect_failures = [var.alerts]
}

run "alert_topic" {
  # says: alerts.*.sns_topic_arns must be ARNs of SNS topics
  command = plan

  variables {
    alerts = { a = { sns_topic_arns = ["topic"] } }
  }

  expect_failures = [var.alerts]
}

run "alert_function" {
  # says: alerts.*.lambda_function_arns must be ARNs of Lambda functions
  command = plan

  variables {
    alerts = { a = { lambda_function_arns = ["function"] } }
  }

  expect_failures = [var.alerts]
}

run "alert_measure" {
  # says: alerts.*.measures must be measures (revenue); given: {"a":["views"]}
  command = plan

  variables {
    alerts = { a = { measures = ["views"] } }
  }

  expect_failures = [var.alerts]
}

run "alert_dimension" {
  # says: alerts.*.dimension_filters must be dimensions (country, channel)
  command = plan

  variables {
    alerts = { a = { dimension_filters = { city = ["Rome"] } } }
  }

  expect_failures = [var.alerts]
}

run "subscription_protocol" {
  # says: given: ["http"]
  command = plan

  variables {
    subscriptions = { alerts = { pager = { protocol = "http", endpoint = "http://example.com" } } }
  }

  expect_failures = [var.subscriptions]
}

run "encryption_alias" {
  # says: encryption.kms_key_arn must be the ARN of a KMS key, not of an alias; it is "alias/mine"
  command = plan

  variables {
    encryption = { kms_key_arn = "alias/mine" }
  }

  expect_failures = [var.encryption]
}

run "logging_retention" {
  # says: 3288 or 3653; it is 10
  command = plan

  variables {
    logging = { retention_days = 10 }
  }

  expect_failures = [var.logging]
}

run "logging_level" {
  # says: logging.level must be DEBUG, INFO, WARNING or ERROR; it is "TRACE"
  command = plan

  variables {
    logging = { level = "TRACE" }
  }

  expect_failures = [var.logging]
}

run "lambda_runtime" {
  # says: lambda.runtime must be python3.11 or newer; it is "python3.9"
  command = plan

  variables {
    lambda = { runtime = "python3.9" }
  }

  expect_failures = [var.lambda]
}

run "lambda_architecture" {
  # says: lambda.architecture must be arm64 or x86_64; it is "amd64"
  command = plan

  variables {
    lambda = { architecture = "amd64" }
  }

  expect_failures = [var.lambda]
}

run "lambda_memory" {
  # says: lambda.memory_mb must be a whole number from 512 to 10240; it is 128
  command = plan

  variables {
    lambda = { memory_mb = 128 }
  }

  expect_failures = [var.lambda]
}

run "iam_path" {
  # says: iam.path must begin and end with a slash and hold no blanks; it is "/team"
  command = plan

  variables {
    iam = { path = "/team" }
  }

  expect_failures = [var.iam]
}

run "iam_boundary" {
  # says: iam.permissions_boundary_arn must be the ARN of a policy; it is "boundary"
  command = plan

  variables {
    iam = { permissions_boundary_arn = "boundary" }
  }

  expect_failures = [var.iam]
}

run "storage_bucket_name" {
  # says: storage.bucket_name must be 3-63 lower case letters, digits and hyphens
  command = plan

  variables {
    storage = { bucket_name = "My.Bucket" }
  }

  expect_failures = [var.storage]
}

run "storage_landed_retention" {
  # says: storage.landed_retention_days must be 30 or more, or null; it is 7
  command = plan

  variables {
    storage = { landed_retention_days = 7 }
  }

  expect_failures = [var.storage]
}

run "storage_results_retention" {
  # says: storage.results_retention_days must be 1 or more, or null; it is 0
  command = plan

  variables {
    storage = { results_retention_days = 0 }
  }

  expect_failures = [var.storage]
}

run "params_json_is_no_json" {
  # says: params_json must be a JSON object
  command = plan

  variables {
    params_json = "detector_name: shop"
  }

  expect_failures = [var.params_json]
}

run "params_json_is_a_list" {
  # says: params_json must be a JSON object
  command = plan

  variables {
    params_json = "[]"
  }

  expect_failures = [var.params_json]
}

run "params_json_unknown_key" {
  # says: it holds ["detector_nmae"]
  command = plan

  variables {
    params_json = jsonencode({ detector_nmae = "shop" })
  }

  expect_failures = [var.params_json]
}

run "params_json_metrics" {
  # says: params_json: metrics_set must be a list of objects with MetricName, each name once, and AggregationFunction
  command = plan

  variables {
    params_json = jsonencode({ metrics_set = [{ MetricName = "views" }] })
  }

  expect_failures = [var.params_json]
}

run "params_json_metric_twice" {
  # says: each name once
  command = plan

  variables {
    params_json = jsonencode({ metrics_set = [{ MetricName = "views", AggregationFunction = "SUM" }, { MetricName = "views", AggregationFunction = "AVG" }] })
  }

  expect_failures = [var.params_json]
}

run "params_json_dimensions" {
  # says: params_json: dimension_list must be a list of column names
  command = plan

  variables {
    params_json = jsonencode({ dimension_list = [{ name = "platform" }] })
  }

  expect_failures = [var.params_json]
}

run "params_json_timestamp" {
  # says: params_json: timestamp_column must be an object with ColumnName
  command = plan

  variables {
    params_json = jsonencode({ timestamp_column = "ts" })
  }

  expect_failures = [var.params_json]
}

run "params_json_offset" {
  # says: params_json: offset and alert_threshold must be numbers
  command = plan

  variables {
    params_json = jsonencode({ offset = "soon" })
  }

  expect_failures = [var.params_json]
}

run "params_json_dimension_reserved" {
  # says: They are ["date"]
  command = plan

  variables {
    dimensions  = null
    params_json = jsonencode({ dimension_list = ["date"] })
  }

  expect_failures = [var.dimensions]
}

run "params_json_interval" {
  # says: it is "PT2H"
  command = plan

  variables {
    interval    = null
    params_json = jsonencode({ detector_frequency = "PT2H" })
  }

  expect_failures = [var.interval]
}

run "params_json_aggregation" {
  # says: given: {"views":"MEDIAN"}
  command = plan

  variables {
    measures    = null
    params_json = jsonencode({ metrics_set = [{ MetricName = "views", AggregationFunction = "MEDIAN" }] })
  }

  expect_failures = [var.measures]
}
