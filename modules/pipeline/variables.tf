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

variable "machine_role_arns" {
  description = "ARN of the role of each state machine: `statement` and `pipeline`."
  type        = map(string)
  nullable    = false
}

variable "bucket_name" {
  description = "Name of the detector's bucket, which sends its events to EventBridge."
  type        = string
  nullable    = false
}

variable "document" {
  description = "Configuration of the detector: the text of `config/detector.json`."
  type        = string
  nullable    = false
}

variable "history_parallelism" {
  description = "Most pieces of history that are unloaded at a time."
  type        = number
  default     = 4
  nullable    = false
}

variable "attach" {
  description = <<-EOT
    Attaching of the role that Redshift assumes to the warehouse.
    - `create` - (Required) Whether a role is attached, which is so where the module made it.
    - `cluster_identifier` - (Optional) Cluster that gets the role.
    - `workgroup_name` - (Optional) Workgroup whose namespace gets the role.
    - `role_arn` - (Optional) ARN of the role.
  EOT
  type = object({
    create             = bool
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    role_arn           = optional(string)
  })
  nullable = false
}
