output "pipeline_arn" {
  description = "State machine that loads the history and trains; its first execution starts by itself."
  value       = module.detector.pipeline_arn
}

output "table_name" {
  description = "Table that holds the detector's status."
  value       = module.detector.table_name
}
