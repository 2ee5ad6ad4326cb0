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
    Logging and tracing of the state machines.
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

variable "machine_role_arns" {
  description = "ARN of the IAM role of each state machine: `statement` and `pipeline`."
  type        = map(string)
  nullable    = false
}

variable "bucket_name" {
  description = "Name of the detector's bucket, which sends its events to Amazon EventBridge."
  type        = string
  nullable    = false
}

variable "document" {
  description = "Configuration of the detector: the content of `config/detector.json`."
  type        = string
  nullable    = false
}

variable "warehouse" {
  description = "Warehouse, sign-in and UNLOAD role in the functions' environment, as JSON. With another warehouse, the same document is another configuration."
  type        = string
  nullable    = false
}

variable "history_parallelism" {
  description = "Maximum number of history chunks that are unloaded concurrently."
  type        = number
  nullable    = false
}

variable "attach" {
  description = <<-EOT
    Attachment of the UNLOAD role to the warehouse.
    - `create` - (Required) Whether to attach the role; true if the module created it. The other keys are used only then.
    - `cluster_identifier` - (Optional) Cluster to attach the role to.
    - `workgroup_name` - (Optional) Workgroup whose namespace the role is attached to.
    - `role_arn` - (Optional) ARN of the role to attach.
    - `function_role_name` - (Optional) Name of the IAM role of the function that attaches the role.
    - `policy` - (Optional) Policy of that function on this warehouse, as JSON.
  EOT
  type = object({
    create             = bool
    cluster_identifier = optional(string)
    workgroup_name     = optional(string)
    role_arn           = optional(string)
    function_role_name = optional(string)
    policy             = optional(string)
  })
  nullable = false
}
