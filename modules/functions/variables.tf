variable "name" {
  description = "Name of the detector. Every resource name starts with it."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  nullable    = false
}

variable "role_arns" {
  description = "ARN of the IAM role of each function, by function key."
  type        = map(string)
  nullable    = false
}

variable "console" {
  description = "Whether there is the function `console`, which draws the widgets of the dashboard."
  type        = bool
  nullable    = false
}

variable "environment" {
  description = "Environment variables of every function, such as `TABLE_NAME`. The module adds the Powertools settings."
  type        = map(string)
  nullable    = false
}

variable "region" {
  description = "AWS Region of the functions."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "ID of the AWS account that owns the resources."
  type        = string
  nullable    = false
}

variable "lambda" {
  description = <<-EOT
    Runtime settings of the functions.
    - `runtime` - (Required) Lambda runtime, such as `python3.13`.
    - `architecture` - (Required) `arm64` or `x86_64`.
    - `memory_mb` - (Required) Memory in MB of the functions that process data (train, activate, detect, commit, deliver).
    - `layers` - (Optional) ARNs of layers that provide numpy, pyarrow, Powertools and pydantic; `[]` for no layer. Null looks up the AWS managed layers in Systems Manager Parameter Store.
    - `package` - (Optional) Deployment package in S3 to use instead of the bundled one: `bucket`, `key`, optional object `version`, and `hash` (base64-encoded SHA-256).
    - `sdk_for_pandas_version` - (Required) Version of the AWS SDK for pandas layer.
    - `powertools_version` - (Required) Version of the Powertools layer.
  EOT
  type = object({
    runtime      = string
    architecture = string
    memory_mb    = number
    layers       = optional(list(string))
    package = optional(object({
      bucket  = string
      key     = string
      version = optional(string)
      hash    = string
    }))
    sdk_for_pandas_version = string
    powertools_version     = string
  })
  nullable = false
}

variable "logging" {
  description = <<-EOT
    Logging and tracing of the functions.
    - `retention_days` - (Required) Log retention in days; 0 keeps logs forever.
    - `level` - (Required) Log level: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
    - `tracing` - (Required) Whether AWS X-Ray traces are recorded.
    - `row_values` - (Required) Whether error texts that may quote values of rows are logged.
  EOT
  type = object({
    retention_days = number
    level          = string
    tracing        = bool
    row_values     = bool
  })
  nullable = false
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
