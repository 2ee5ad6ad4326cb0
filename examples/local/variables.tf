variable "name" {
  description = "Name of the detector."
  type        = string
  default     = "shop"
  nullable    = false
}

variable "cluster_identifier" {
  description = "Cluster of the local warehouse; null where `workgroup_name` is given."
  type        = string
  default     = "shop"
}

variable "workgroup_name" {
  description = "Serverless workgroup of the local warehouse."
  type        = string
  default     = null
}

variable "database" {
  description = "Database that holds the shop."
  type        = string
  default     = "dev"
  nullable    = false
}

variable "secret_arn" {
  description = "Secret with `username` and `password`; null to sign in as `db_user` or as the function's role."
  type        = string
  default     = null
}

variable "db_user" {
  description = "Database user that gets temporary credentials."
  type        = string
  default     = null
}

variable "query" {
  description = "Rows that are watched."
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
  description = "What is watched; see the module."
  type = map(object({
    aggregation         = optional(string, "SUM")
    direction           = optional(string, "both")
    min_absolute_change = optional(number, 0)
    min_relative_change = optional(number, 0)
  }))
  default = {
    views   = {}
    revenue = {}
  }
  nullable = false
}

variable "dimensions" {
  description = "Columns that the measures are split by."
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
  description = "Seconds from the end of an interval until it is crawled."
  type        = number
  default     = 60
  nullable    = false
}

variable "lookback_intervals" {
  description = "Intervals that are read again for late rows."
  type        = number
  default     = 3
  nullable    = false
}

variable "history" {
  description = "What is loaded to learn from; see the module."
  type = object({
    start       = optional(string)
    length      = optional(string, "P90D")
    chunk       = optional(string, "P30D")
    parallelism = optional(number, 4)
  })
  default  = {}
  nullable = false
}

variable "shards" {
  description = "Pieces that the series are split into."
  type        = number
  default     = 1
  nullable    = false
}

variable "alert_threshold" {
  description = "Severity from which an alert is sent."
  type        = number
  default     = 50
  nullable    = false
}

variable "alerts" {
  description = "Alerts besides the one of everything; see the module."
  type = map(object({
    threshold            = optional(number, 50)
    description          = optional(string)
    sns_topic_arns       = optional(list(string), [])
    lambda_function_arns = optional(list(string), [])
    measures             = optional(list(string), [])
    dimension_filters    = optional(map(list(string)), {})
  }))
  default  = {}
  nullable = false
}

variable "enabled" {
  description = "Whether the schedule runs."
  type        = bool
  default     = true
  nullable    = false
}
