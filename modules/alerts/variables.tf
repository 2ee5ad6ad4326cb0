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

variable "subscriptions" {
  description = <<-EOT
    Subscriptions to the topics `alerts` and `operations`, keyed by a name of your choice.
    - `protocol` - (Required) `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
    - `endpoint` - (Required) Email address, phone number, URL or ARN.
  EOT
  type = object({
    alerts = map(object({
      protocol = string
      endpoint = string
    }))
    operations = map(object({
      protocol = string
      endpoint = string
    }))
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

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  nullable    = false
}
