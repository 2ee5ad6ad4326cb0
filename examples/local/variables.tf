variable "name" {
  description = "Name of the detector."
  type        = string
  default     = "shop"
  nullable    = false
}

variable "cluster_identifier" {
  description = "Identifier of the local cluster. Set exactly one of this and `workgroup_name`."
  type        = string
  default     = "shop"
}

variable "workgroup_name" {
  description = "Name of the local Serverless workgroup."
  type        = string
  default     = null
}

variable "database" {
  description = "Name of the database that holds the sample shop."
  type        = string
  default     = "dev"
  nullable    = false
}

variable "secret_arn" {
  description = "ARN of the Secrets Manager secret that holds `username` and `password`; null to authenticate as `db_user` or as the function's IAM role."
  type        = string
  default     = null
}

variable "db_user" {
  description = "Database user to request temporary credentials for."
  type        = string
  default     = null
}

variable "query" {
  description = "Query that returns the rows to monitor; see the module's input."
  type        = string
  default     = <<-EOT
    SELECT
      e.ts AS "timestamp",
      e.views,
      e.revenue,
      p.name AS platform,
      m.name AS marketplace
    FROM ecommerce AS e
    JOIN platform AS p ON p.id = e.platform
    JOIN marketplace AS m ON m.id = e.marketplace
    WHERE e.ts >= {{ window_start }} AND e.ts < {{ window_end }}
  EOT
  nullable    = false
}

variable "measures" {
  description = "Numeric columns to monitor; see the module's input."
  type = map(object({
    aggregation         = optional(string)
    direction           = optional(string)
    numerator           = optional(string)
    denominator         = optional(string)
    exact               = optional(bool)
    min_absolute_change = optional(number)
    min_relative_change = optional(number)
    min                 = optional(number)
    max                 = optional(number)
    bounded_series      = optional(string)
    unit                = optional(string)
  }))
  default = {
    views   = {}
    revenue = {}
  }
  nullable = false
}

variable "dimensions" {
  description = "Columns that split each measure into series."
  type        = list(string)
  default     = ["platform", "marketplace"]
  nullable    = false
}

variable "interval" {
  description = "Length of an interval."
  type        = string
  default     = "PT1H"
  nullable    = false
}

variable "offset_seconds" {
  description = "Seconds to wait after an interval ends before it is crawled."
  type        = number
  default     = 60
  nullable    = false
}

variable "lookback_intervals" {
  description = "Number of earlier intervals that each crawl reads again to pick up late data."
  type        = number
  default     = 3
  nullable    = false
}

variable "history" {
  description = "Historical data loaded once for training; see the module's input."
  type = object({
    start       = optional(string)
    length      = optional(string, "P90D")
    chunk       = optional(string)
    parallelism = optional(number)
  })
  default  = {}
  nullable = false
}

variable "shards" {
  description = "Number of parts that rows are unloaded in."
  type        = number
  default     = 1
  nullable    = false
}

variable "alert_threshold" {
  description = "Minimum severity of an event that is sent."
  type        = number
  default     = 50
  nullable    = false
}

variable "alerts" {
  description = "Alerts in addition to the one for all measures; see the module's input."
  type = map(object({
    threshold            = optional(number)
    description          = optional(string)
    sns_topic_arns       = optional(list(string))
    lambda_function_arns = optional(list(string))
    measures             = optional(list(string))
    dimension_filters    = optional(map(list(string)))
  }))
  default  = {}
  nullable = false
}

variable "mutes" {
  description = "Alerts to hold back for a while; see the module's input."
  type = map(object({
    end               = string
    reason            = string
    start             = optional(string)
    measures          = optional(list(string))
    dimension_filters = optional(map(list(string)))
  }))
  default  = {}
  nullable = false
}

variable "incidents" {
  description = "Times in which values tell nothing; see the module's input."
  type = map(object({
    start             = string
    end               = string
    reason            = string
    measures          = optional(list(string))
    dimension_filters = optional(map(list(string)))
  }))
  default  = {}
  nullable = false
}

variable "calendar" {
  description = "Special days; see the module's input."
  type = object({
    countries = optional(list(string))
    days      = optional(map(list(string)))
    ical      = optional(string)
    silent    = optional(list(string))
  })
  default  = {}
  nullable = false
}

variable "enabled" {
  description = "Whether the schedule is enabled."
  type        = bool
  default     = true
  nullable    = false
}
