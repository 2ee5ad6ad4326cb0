variable "name" {
  description = "Name of the detector. Every resource name starts with it."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS Region of the resources."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "ID of the AWS account that owns the resources."
  type        = string
  nullable    = false
}

variable "bucket_name" {
  description = "Name of the bucket; null for `<name>-<account>-<region>`."
  type        = string
}

variable "force_destroy" {
  description = "Whether destroy deletes the bucket even if it holds objects."
  type        = bool
  nullable    = false
}

variable "history_retention_days" {
  description = "Days to keep the unloaded rows of the history; null keeps them forever."
  type        = number
}

variable "live_retention_days" {
  description = "Days to keep the unloaded rows of crawls."
  type        = number
  nullable    = false
}

variable "unload_role_arn" {
  description = "`redshift.unload_role.arn`: a role of another account at the end of the chain may write unloaded rows. Null if the module creates the role."
  type        = string
}

variable "configuration_writer_arns" {
  description = "ARNs of the IAM users and roles that may write and delete the configuration, all that do; null for whoever may write to the bucket. `*` stands for any characters."
  type        = list(string)
}

variable "results_retention_days" {
  description = "Days to keep results; null keeps them forever."
  type        = number
}

variable "point_in_time_recovery" {
  description = "Whether point-in-time recovery of the table is enabled."
  type        = bool
  nullable    = false
}

variable "dimensions" {
  description = "Dimensions of the detector; each is a column of the `scores` table."
  type        = list(string)
  nullable    = false
}

variable "results_since" {
  description = "First date of the partitions of the results tables, as `yyyy-mm-dd`."
  type        = string
  nullable    = false
}

variable "athena_workgroup" {
  description = "Athena workgroup of the saved queries."
  type        = string
  nullable    = false
}

variable "encryption" {
  description = <<-EOT
    Customer managed KMS key; null to use AWS owned or managed keys.
    - `kms_key_arn` - (Required) ARN of the KMS key.
  EOT
  type = object({
    kms_key_arn = string
  })
}

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  nullable    = false
}
