variable "name" {
  description = "Name of the detector."
  type        = string
  default     = "shop"
  nullable    = false
}

variable "cluster_identifier" {
  description = "Identifier of the Redshift cluster. Set exactly one of this and `workgroup_name`."
  type        = string
  default     = null
}

variable "workgroup_name" {
  description = "Name of the Redshift Serverless workgroup."
  type        = string
  default     = null
}

variable "database" {
  description = "Name of the database."
  type        = string
  default     = "dev"
  nullable    = false
}

variable "secret_arn" {
  description = "ARN of the Secrets Manager secret that holds `username` and `password`; null to authenticate as `db_user` or as the function's IAM role."
  type        = string
  default     = null
}

variable "secret_kms_key_arn" {
  description = "ARN of the customer managed KMS key that encrypts the secret; null for the AWS managed key."
  type        = string
  default     = null
}

variable "db_user" {
  description = "Database user to request temporary credentials for; only with a cluster and without a secret."
  type        = string
  default     = null
}

variable "unload_role_arn" {
  description = "ARN of a role that is already attached to the warehouse, a role chain, or `default`; null to create and attach a role."
  type        = string
  default     = null
}

variable "alert_function_arns" {
  description = "ARNs of Lambda functions to invoke when revenue falls."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "email" {
  description = "Email address that receives alerts and failures."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of the roles; null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  default     = { team = "data" }
  nullable    = false
}
