variable "redshift" {
  description = <<-EOT
    The warehouse that all detectors watch.
    - `cluster_identifier` - (Optional) Identifier of the cluster. Set exactly one of this and `workgroup_name`.
    - `workgroup_name` - (Optional) Name of the Redshift Serverless workgroup.
    - `database` - (Required) Name of the database.
    - `secret_arn` - (Optional) ARN of a secret that holds `username` and `password`. Defaults to null: the functions sign in with their IAM roles.
  EOT
  type = object({
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    database           = string
    secret_arn         = optional(string)
  })
  nullable = false
}

variable "email" {
  description = "Email address that receives alerts and failures of all detectors."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Beginning of each detector's name."
  type        = string
  default     = "shop"
  nullable    = false
}

variable "starts_per_minute" {
  description = "How many detectors may start in the same minute. On Serverless, more of them at once cost less: the workgroup is awake for fewer minutes."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.starts_per_minute >= 1 && floor(var.starts_per_minute) == var.starts_per_minute
    error_message = "starts_per_minute must be a whole number from 1; got ${var.starts_per_minute}."
  }
}

variable "history" {
  description = "History that each detector learns from; see the module's input."
  type = object({
    start  = optional(string)
    length = optional(string)
  })
  default  = {}
  nullable = false
}

variable "enabled" {
  description = "Whether the detectors are crawled on schedule."
  type        = bool
  default     = true
  nullable    = false
}

variable "layers" {
  description = "ARNs of the functions' layers; null for the managed ones."
  type        = list(string)
  default     = null
}

variable "tracing" {
  description = "Whether AWS X-Ray traces are recorded."
  type        = bool
  default     = true
  nullable    = false
}

variable "force_destroy" {
  description = "Whether destroy deletes the buckets with everything in them."
  type        = bool
  default     = false
  nullable    = false
}
