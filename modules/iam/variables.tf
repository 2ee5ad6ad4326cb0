variable "name" {
  description = "Name of the detector; the beginning of every resource's name."
  type        = string
  nullable    = false
}

variable "partition" {
  description = "Partition of the ARNs, such as `aws` or `aws-us-gov`."
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

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "iam" {
  description = <<-EOT
    What every role gets:
    - `path` - (Optional) Path of the roles. Defaults to `/`.
    - `permissions_boundary_arn` - (Optional) Policy that bounds the roles. Defaults to none.
  EOT
  type = object({
    path                     = optional(string, "/")
    permissions_boundary_arn = optional(string)
  })
  default  = {}
  nullable = false
}

variable "bucket_arn" {
  description = "ARN of the detector's bucket."
  type        = string
  nullable    = false
}

variable "table_arn" {
  description = "ARN of the detector's table."
  type        = string
  nullable    = false
}

variable "encryption" {
  description = <<-EOT
    Customer key of bucket, table, topics and queue; null where AWS's own keys are used.
    - `kms_key_arn` - (Required) ARN of the key.
  EOT
  type = object({
    kms_key_arn = string
  })
  default = null
}

variable "redshift" {
  description = <<-EOT
    Warehouse that is queried and how the functions sign in to it.
    - `cluster_identifier` - (Optional) Provisioned cluster. Exactly one of this and `workgroup_name` is given.
    - `workgroup_name` - (Optional) Serverless workgroup.
    - `database` - (Required) Database that is queried.
    - `secret_arn` - (Optional) Secret that holds `username` and `password`.
    - `secret_kms_key_arn` - (Optional) Customer key of that secret.
    - `db_user` - (Optional) Database user that gets temporary credentials. Without secret and user, the functions sign in as their own role.
  EOT
  type = object({
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    database           = string
    secret_arn         = optional(string)
    secret_kms_key_arn = optional(string)
    db_user            = optional(string)
  })
  nullable = false
}

variable "unload_role" {
  description = <<-EOT
    Role that Redshift assumes to write to the bucket.
    - `create` - (Optional) Whether it is made here. Defaults to true.
    - `arn` - (Optional) Used where it is not made here: an ARN, a chain `arn1,arn2`, or `default`.
  EOT
  type = object({
    create = optional(bool, true)
    arn    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.unload_role.create || var.unload_role.arn != null
    error_message = "unload_role.arn must be given where unload_role.create is false: an ARN, a chain `arn1,arn2`, or `default`."
  }
}

variable "alerts_topic_arn" {
  description = "ARN of the detector's own alerts topic."
  type        = string
  nullable    = false
}

variable "operations_topic_arn" {
  description = "ARN of the topic that failures are published to."
  type        = string
  nullable    = false
}

variable "alert_sns_topic_arns" {
  description = "ARNs of further topics that alerts are published to."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "alert_lambda_function_arns" {
  description = "ARNs of the functions that alerts are sent to."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "dead_letter_queue_arn" {
  description = "ARN of the queue that takes what could not be delivered."
  type        = string
  nullable    = false
}

variable "tracing" {
  description = "Whether functions and state machines write X-Ray traces."
  type        = bool
  default     = true
  nullable    = false
}
