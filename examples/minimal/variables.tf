variable "cluster_identifier" {
  description = "Identifier of the Redshift cluster that holds the table `orders`."
  type        = string
  nullable    = false
}

variable "database" {
  description = "Name of the database."
  type        = string
  default     = "dev"
  nullable    = false
}

variable "secret_arn" {
  description = "ARN of the Secrets Manager secret that holds `username` and `password`; null to authenticate as the function's IAM role."
  type        = string
  default     = null
}

variable "email" {
  description = "Email address that receives alerts and failures, once the subscriptions are confirmed."
  type        = string
  nullable    = false
}
