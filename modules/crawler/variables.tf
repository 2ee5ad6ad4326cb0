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

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "function_arns" {
  description = "ARN of each function, by function key."
  type        = map(string)
  nullable    = false
}

variable "logging" {
  description = <<-EOT
    Logs and traces of the state machine.
    - `retention_days` - (Optional) Days that logs are kept. Defaults to 365.
    - `tracing` - (Optional) Whether X-Ray traces are written. Defaults to true.
  EOT
  type = object({
    retention_days = optional(number, 365)
    tracing        = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "encryption" {
  description = <<-EOT
    Customer key; null where AWS's own keys are used.
    - `kms_key_arn` - (Required) ARN of the key.
  EOT
  type = object({
    kms_key_arn = string
  })
  default = null
}

variable "dead_letter_queue_arn" {
  description = "ARN of the queue that takes what could not be delivered."
  type        = string
  nullable    = false
}

variable "machine_role_arn" {
  description = "ARN of the state machine's role."
  type        = string
  nullable    = false
}

variable "statement_arn" {
  description = "ARN of the state machine that runs one statement."
  type        = string
  nullable    = false
}

variable "schedule_role_arn" {
  description = "ARN of the schedule's role."
  type        = string
  nullable    = false
}

variable "interval" {
  description = "Length of an interval: PT5M, PT10M, PT15M, PT30M, PT1H or P1D."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "P1D"], var.interval)
    error_message = "interval must be PT5M, PT10M, PT15M, PT30M, PT1H or P1D; it is '${var.interval}'."
  }
}

variable "timezone" {
  description = "IANA time zone of the intervals."
  type        = string
  default     = "UTC"
  nullable    = false
}

variable "offset_seconds" {
  description = "Seconds from the end of an interval until it is crawled."
  type        = number
  default     = 300
  nullable    = false
}

variable "enabled" {
  description = "Whether the schedule runs."
  type        = bool
  default     = true
  nullable    = false
}
