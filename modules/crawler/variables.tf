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

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  nullable    = false
}

variable "function_arns" {
  description = "ARN of each Lambda function, by function key."
  type        = map(string)
  nullable    = false
}

variable "retry" {
  description = <<-EOT
    Retry blocks of the state machines' tasks, as JSON.
    - `function` - (Required) For tasks that invoke a function.
    - `execution` - (Required) For tasks that run another state machine.
  EOT
  type = object({
    function  = string
    execution = string
  })
  nullable = false
}

variable "logging" {
  description = <<-EOT
    Logging and tracing of the state machine.
    - `retention_days` - (Required) Log retention in days; 0 keeps logs forever.
    - `tracing` - (Required) Whether AWS X-Ray traces are recorded.
  EOT
  type = object({
    retention_days = number
    tracing        = bool
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

variable "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  type        = string
  nullable    = false
}

variable "machine_role_arn" {
  description = "ARN of the IAM role of the state machine."
  type        = string
  nullable    = false
}

variable "statement_arn" {
  description = "ARN of the state machine that runs one SQL statement."
  type        = string
  nullable    = false
}

variable "schedule_role_arn" {
  description = "ARN of the IAM role of the schedule."
  type        = string
  nullable    = false
}

variable "interval" {
  description = "Length of an interval: `PT5M`, `PT10M`, `PT15M`, `PT30M`, `PT1H`, `P1D`, `P1W` or `P1M`."
  type        = string
  nullable    = false
}

variable "timezone" {
  description = "IANA time zone of the intervals and the schedule."
  type        = string
  nullable    = false
}

variable "offset_seconds" {
  description = "Seconds to wait after an interval ends before it is crawled."
  type        = number
  nullable    = false
}

variable "enabled" {
  description = "Whether the schedule is enabled."
  type        = bool
  nullable    = false
}
