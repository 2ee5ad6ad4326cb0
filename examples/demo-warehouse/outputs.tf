locals {
  # On-demand prices in us-east-1, in dollars.
  rpu_hour = 0.375
  node_hour = {
    "ra3.large"    = 0.543
    "ra3.xlplus"   = 1.086
    "ra3.4xlarge"  = 3.26
    "ra3.16xlarge" = 13.04
  }
  nodes = var.cluster == null ? "" : "${var.cluster.number_of_nodes} ${var.cluster.node_type}"
}

output "costs" {
  description = "What the warehouse costs, by list price in us-east-1."
  value = (
    var.cluster == null ?
    "${format("$%.2f", var.base_capacity * local.rpu_hour)} an hour while statements run, at least a minute each time; an hourly detector about ${format("$%.0f", var.base_capacity * local.rpu_hour / 60 * 730)} a month." :
    "${try(format("$%.2f", var.cluster.number_of_nodes * local.node_hour[var.cluster.node_type]), "The price of ${local.nodes}")} an hour until destroy, whether statements run or not (${local.nodes})."
  )
}

output "workgroup_name" {
  description = "Name of the Serverless workgroup; null with a cluster."
  value       = local.workgroup_name
}

output "cluster_identifier" {
  description = "Identifier of the cluster; null with Serverless."
  value       = local.cluster_identifier
}

output "secret_arn" {
  description = "ARN of the administrator's secret, which Redshift keeps and rotates."
  value       = local.secret_arn
}

output "pipeline_arn" {
  description = "ARN of the detector's pipeline state machine."
  value       = module.detector.pipeline_arn
}

output "table_name" {
  description = "Name of the DynamoDB table that holds the detector's status."
  value       = module.detector.table_name
}

output "crawl_arn" {
  description = "ARN of the detector's crawl state machine."
  value       = module.detector.crawl_arn
}

output "bucket_name" {
  description = "Name of the detector's bucket."
  value       = module.detector.bucket_name
}

output "configuration_key" {
  description = "Key of the detector's configuration in its bucket."
  value       = module.detector.configuration_key
}

output "function_names" {
  description = "Name of each function of the detector, by key."
  value       = module.detector.function_names
}
