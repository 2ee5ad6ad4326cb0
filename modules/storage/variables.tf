variable "name" {
  description = "Name of the detector; the beginning of every resource's name."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the resources."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "Account of the resources."
  type        = string
  nullable    = false
}

variable "bucket_name" {
  description = "Name of the bucket. Defaults to `<name>-<account>-<region>`."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether destroy also deletes what the bucket holds."
  type        = bool
  default     = false
  nullable    = false
}

variable "landed_retention_days" {
  description = "Days that unloaded rows are kept; null is for ever."
  type        = number
  default     = null
}

variable "results_retention_days" {
  description = "Days that results are kept; null is for ever."
  type        = number
  default     = null
}

variable "point_in_time_recovery" {
  description = "Whether the table can be brought back to any second of the last 35 days."
  type        = bool
  default     = true
  nullable    = false
}

variable "dimensions" {
  description = "Dimensions of the detector, each a column of the scores table."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "results_since" {
  description = "First date, `yyyy-mm-dd`, that the results tables look for."
  type        = string
  default     = "2020-01-01"
  nullable    = false
}

variable "encryption" {
  description = <<-EOT
    Customer key of bucket and table; null where AWS's own keys are used.
    - `kms_key_arn` - (Required) ARN of the key.
  EOT
  type = object({
    kms_key_arn = string
  })
  default = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
