variable "name" {
  description = "Name of the detector; the beginning of every resource's name."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "role_arns" {
  description = "ARN of each function's role, by function key."
  type        = map(string)
  nullable    = false
}

variable "environment" {
  description = "Environment of every function, such as `TABLE_NAME`. The Powertools settings are added here."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "bucket_name" {
  description = "Bucket that the package is put into, unless `lambda.package` names another place."
  type        = string
  nullable    = false
}

variable "lambda" {
  description = <<-EOT
    How the functions run.
    - `runtime` - (Optional) Python runtime. Defaults to `python3.13`.
    - `architecture` - (Optional) `arm64` or `x86_64`. Defaults to `arm64`.
    - `memory_mb` - (Optional) Memory of the functions that compute (train, activate, detect, commit, deliver). Defaults to 1769, which is one vCPU.
    - `layers` - (Optional) ARNs of layers that hold numpy, pyarrow, Powertools and pydantic; `[]` for none. Defaults to AWS's public layers, looked up in Systems Manager.
    - `package` - (Optional) A package in S3 instead of the one that comes with the module: `bucket`, `key`, optional `version`, and `hash` (base64 of its SHA-256).
    - `sdk_for_pandas_version` - (Optional) Version of the AWS SDK for pandas layer. Defaults to the one that the package was tested with.
    - `powertools_version` - (Optional) Version of the Powertools layer. Defaults to the one that the package was tested with.
  EOT
  type = object({
    runtime      = optional(string, "python3.13")
    architecture = optional(string, "arm64")
    memory_mb    = optional(number, 1769)
    layers       = optional(list(string))
    package = optional(object({
      bucket  = string
      key     = string
      version = optional(string)
      hash    = string
    }))
    sdk_for_pandas_version = optional(string, "3.16.1")
    powertools_version     = optional(string, "3.22.1")
  })
  default  = {}
  nullable = false
}

variable "logging" {
  description = <<-EOT
    Logs and traces of the functions.
    - `retention_days` - (Optional) Days that logs are kept. Defaults to 365.
    - `level` - (Optional) Level of the logs. Defaults to `INFO`.
    - `tracing` - (Optional) Whether X-Ray traces are written. Defaults to true.
  EOT
  type = object({
    retention_days = optional(number, 365)
    level          = optional(string, "INFO")
    tracing        = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "encryption" {
  description = <<-EOT
    Customer key of logs and environment; null where AWS's own keys are used.
    - `kms_key_arn` - (Required) ARN of the key.
  EOT
  type = object({
    kms_key_arn = string
  })
  default = null
}
