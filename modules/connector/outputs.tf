output "name" {
  description = "`detector_name` as a valid `name` of the detector."
  value       = local.name
}

output "description" {
  description = "`detector_description`; null if it is missing or empty."
  value       = try(coalesce(tostring(local.params.detector_description)), null)
}

output "interval" {
  description = "`detector_frequency`."
  value       = tostring(local.params.detector_frequency)
}

output "timestamp_column" {
  description = "`timestamp_column.ColumnName` as a value of `timestamp_column`."
  value       = { name = tostring(local.params.timestamp_column.ColumnName) }
}

output "measures" {
  description = "`metrics_set` as a value of `measures`."
  value       = { for metric in local.params.metrics_set : metric.MetricName => { aggregation = upper(metric.AggregationFunction) } }
}

output "dimensions" {
  description = "`dimension_list`; empty if it is missing."
  value       = try([for name in local.params.dimension_list : tostring(name)], [])
}

output "alerts" {
  description = "The alert that the `alert_*` keys describe, as a value of `alerts`; empty without `alert_name`."
  value = {
    for name in compact([local.alert_name]) : name => {
      threshold            = try(coalesce(tonumber(local.params.alert_threshold)), null)
      description          = try(coalesce(tostring(local.params.alert_description)), null)
      lambda_function_arns = compact([try(tostring(local.params.alert_lambda_arn), "")])
    }
  }
}

output "offset_seconds" {
  description = "`offset`; null if it is missing."
  value       = try(coalesce(tonumber(local.params.offset)), null)
}

output "secret_name" {
  description = "`secret_name`, whose ARN `redshift.secret_arn` takes; null if it is missing."
  value       = try(coalesce(tostring(local.params.secret_name)), null)
}

output "ignored" {
  description = "Keys of `params_json` that have no effect, each with the reason."
  value       = local.ignored
}
