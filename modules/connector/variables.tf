variable "params_json" {
  description = "Content of the `params.json` file of the Lookout for Metrics connector: `file(\"params.json\")`."
  type        = string
  nullable    = false

  validation {
    condition     = can(keys(jsondecode(trimprefix(var.params_json, "\uFEFF"))))
    error_message = "params_json must be a JSON object; got ${jsonencode(var.params_json)}."
  }

  validation {
    condition = try(
      length(distinct([for metric in jsondecode(trimprefix(var.params_json, "\uFEFF")).metrics_set : "${metric.MetricName} ${metric.AggregationFunction}"])) ==
      length({ for metric in jsondecode(trimprefix(var.params_json, "\uFEFF")).metrics_set : metric.MetricName => metric }),
      false
    )
    error_message = "params_json: metrics_set must be a list of objects with MetricName, each name once, and AggregationFunction; got ${jsonencode(try(jsondecode(trimprefix(var.params_json, "\uFEFF")).metrics_set, null))}."
  }

  validation {
    condition = try(jsondecode(trimprefix(var.params_json, "\uFEFF")).dimension_list, null) == null || can([
      for name in jsondecode(trimprefix(var.params_json, "\uFEFF")).dimension_list : regex(".", name)
    ])
    error_message = "params_json: dimension_list must be a list of column names; got ${jsonencode(try(jsondecode(trimprefix(var.params_json, "\uFEFF")).dimension_list, null))}."
  }

  validation {
    condition     = can(regex(".", jsondecode(trimprefix(var.params_json, "\uFEFF")).timestamp_column.ColumnName))
    error_message = "params_json: timestamp_column must be an object with ColumnName; got ${jsonencode(try(jsondecode(trimprefix(var.params_json, "\uFEFF")).timestamp_column, null))}."
  }

  validation {
    condition     = alltrue([for key in ["detector_name", "detector_frequency"] : can(regex(".", jsondecode(trimprefix(var.params_json, "\uFEFF"))[key]))])
    error_message = "params_json: detector_name and detector_frequency must be set; got ${jsonencode([for key in ["detector_name", "detector_frequency"] : try(jsondecode(trimprefix(var.params_json, "\uFEFF"))[key], null)])}."
  }

  validation {
    condition     = alltrue([for key in ["offset", "alert_threshold"] : can(tonumber(try(jsondecode(trimprefix(var.params_json, "\uFEFF"))[key], 0)))])
    error_message = "params_json: offset and alert_threshold must be numbers; got ${jsonencode([for key in ["offset", "alert_threshold"] : try(jsondecode(trimprefix(var.params_json, "\uFEFF"))[key], null)])}."
  }

  validation {
    condition = alltrue([
      for key in ["detector_description", "alert_name", "alert_description", "alert_lambda_arn", "secret_name"] :
      can(tostring(try(jsondecode(trimprefix(var.params_json, "\uFEFF"))[key], null)))
    ])
    error_message = "params_json: detector_description, alert_name, alert_description, alert_lambda_arn and secret_name must be texts; got ${jsonencode([for key in ["detector_description", "alert_name", "alert_description", "alert_lambda_arn", "secret_name"] : try(jsondecode(trimprefix(var.params_json, "\uFEFF"))[key], null)])}."
  }
}
