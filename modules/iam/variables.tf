variable "name" {
  description = "Name of the detector. Every resource name starts with it."
  type        = string
  nullable    = false
}

variable "partition" {
  description = "AWS partition used in ARNs, such as `aws` or `aws-us-gov`."
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

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  nullable    = false
}

variable "iam" {
  description = <<-EOT
    Settings applied to every IAM role.
    - `path` - (Required) IAM path of the roles.
    - `permissions_boundary_arn` - (Optional) ARN of the permissions boundary of the roles.
  EOT
  type = object({
    path                     = string
    permissions_boundary_arn = optional(string)
  })
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
    Customer managed KMS key; null to use AWS owned or managed keys.
    - `kms_key_arn` - (Required) ARN of the KMS key.
  EOT
  type = object({
    kms_key_arn = string
  })
}

variable "redshift" {
  description = <<-EOT
    Redshift warehouse and how the functions authenticate to it.
    - `cluster_identifier` - (Optional) Identifier of a provisioned cluster. Set exactly one of this and `workgroup_name`.
    - `workgroup_name` - (Optional) Name of a Redshift Serverless workgroup.
    - `database` - (Required) Name of the database.
    - `secret_arn` - (Optional) ARN of the Secrets Manager secret that holds `username` and `password`.
    - `secret_kms_key_arn` - (Optional) ARN of the customer managed KMS key of that secret.
    - `db_user` - (Optional) Database user to request temporary credentials for. With neither secret nor user, the functions authenticate as their IAM role.
    - `role_arn` - (Optional) ARN of a role that is assumed to run statements, in the warehouse's account.
    - `serverless` - (Optional) ARNs behind the workgroup; null with a cluster:
      - `workgroup_arn` - (Required) ARN of the workgroup.
      - `namespace_arn` - (Required) ARN of its namespace.
      - `iam_role_arns` - (Required) ARNs of the roles that are attached to the namespace.
  EOT
  type = object({
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    database           = string
    secret_arn         = optional(string)
    secret_kms_key_arn = optional(string)
    role_arn           = optional(string)
    db_user            = optional(string)
    serverless = optional(object({
      workgroup_arn = string
      namespace_arn = string
      iam_role_arns = list(string)
    }))
  })
  nullable = false
}

variable "unload_role" {
  description = <<-EOT
    IAM role that Redshift assumes to UNLOAD into the bucket.
    - `create` - (Required) Whether the module creates the role.
    - `arn` - (Optional) Existing role to use if `create` is false: an ARN, a role chain `arn1,arn2`, or `default`.
  EOT
  type = object({
    create = bool
    arn    = optional(string)
  })
  nullable = false
}

variable "alerts_topic_arn" {
  description = "ARN of the detector's alerts topic."
  type        = string
  nullable    = false
}

variable "operations_topic_arn" {
  description = "ARN of the operations topic, which receives failures."
  type        = string
  nullable    = false
}

variable "alert_sns_topic_arns" {
  description = "ARNs of other SNS topics that alerts are published to."
  type        = list(string)
  nullable    = false
}

variable "alert_lambda_function_arns" {
  description = "ARNs of the Lambda functions that alerts invoke."
  type        = list(string)
  nullable    = false
}

variable "alert_event_bus_arns" {
  description = "ARNs of the event buses that alerts are put on."
  type        = list(string)
  nullable    = false
}

variable "alert_secret_arns" {
  description = "ARNs of the secrets that hold addresses and keys of alert targets."
  type        = list(string)
  nullable    = false
}

variable "alert_kms_key_arns" {
  description = "ARNs of the customer managed KMS keys of those topics."
  type        = list(string)
  nullable    = false
}

variable "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  type        = string
  nullable    = false
}

variable "console" {
  description = "Whether there is the function `console`, which draws the widgets of the dashboard."
  type        = bool
  nullable    = false
}

variable "tracing" {
  description = "Whether functions and state machines record AWS X-Ray traces."
  type        = bool
  nullable    = false
}
