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

variable "subscriptions" {
  description = <<-EOT
    Who hears of the topics `alerts` and `operations`, by any name.
    - `protocol` - (Required) `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
    - `endpoint` - (Required) Address or ARN.
  EOT
  type = object({
    alerts = optional(map(object({
      protocol = string
      endpoint = string
    })), {})
    operations = optional(map(object({
      protocol = string
      endpoint = string
    })), {})
  })
  default  = {}
  nullable = false
}

variable "encryption" {
  description = <<-EOT
    Customer key of topics and queue; null where AWS's own keys are used.
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
