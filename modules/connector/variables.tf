variable "params_json" {
  description = "Content of the `params.json` file of the Lookout for Metrics connector: `file(\"params.json\")`."
  type        = string
  nullable    = false

  validation {
    condition     = can(keys(jsondecode(var.params_json)))
    error_message = "params_json must be a JSON object; got ${jsonencode(var.params_json)}."
  }

  validation {
    condition = try(
      length(distinct([for metric in jsondecode(var.params_json).metrics_set : "${metric.MetricName} ${metric.AggregationFunction}"])) ==
      length({ for metric in jsondecode(var.params_json).metrics_set : metric.MetricName => metric }),
      false
    )
    error_message = "params_json: metrics_set must be a list of objects with MetricName, each name once, and AggregationFunction; got ${jsonencode(try(jsondecode(var.params_json).metrics_set, null))}."
  }

  validation {
    condition     = !can(jsondecode(var.params_json).dimension_list) || can([for name in jsondecode(var.params_json).dimension_list : tostring(name)])
    error_message = "params_json: dimension_list must be a list of column names; got ${jsonencode(try(jsondecode(var.params_json).dimension_list, null))}."
  }

  validation {
    condition     = can(regex(".", jsondecode(var.params_json).timestamp_column.ColumnName))
    error_message = "params_json: timestamp_column must be an object with ColumnName; got ${jsonencode(try(jsondecode(var.params_json).timestamp_column, null))}."
  }

  validation {
    condition     = alltrue([for key in ["detector_name", "detector_frequency"] : can(regex(".", jsondecode(var.params_json)[key]))])
    error_message = "params_json: detector_name and detector_frequency must be set; got ${jsonencode([for key in ["detector_name", "detector_frequency"] : try(jsondecode(var.params_json)[key], null)])}."
  }

  validation {
    condition     = alltrue([for key in ["offset", "alert_threshold"] : can(tonumber(try(jsondecode(var.params_json)[key], 0)))])
    error_message = "params_json: offset and alert_threshold must be numbers; got ${jsonencode([for key in ["offset", "alert_threshold"] : try(jsondecode(var.params_json)[key], null)])}."
  }
}
