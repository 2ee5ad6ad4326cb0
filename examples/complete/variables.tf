variable "name" {
  description = "Name of the detector."
  type        = string
  default     = "shop"
  nullable    = false
}

variable "cluster_identifier" {
  description = "Redshift cluster; null where `workgroup_name` is given."
  type        = string
  default     = null
}

variable "workgroup_name" {
  description = "Redshift Serverless workgroup; null where `cluster_identifier` is given."
  type        = string
  default     = null
}

variable "database" {
  description = "Database that is queried."
  type        = string
  default     = "dev"
  nullable    = false
}

variable "secret_arn" {
  description = "Secret with `username` and `password`; null to sign in as `db_user` or as the function's IAM role."
  type        = string
  default     = null
}

variable "secret_kms_key_arn" {
  description = "Customer key of the secret; null where AWS's own key is used."
  type        = string
  default     = null
}

variable "db_user" {
  description = "Database user that gets temporary credentials; only with a cluster and without a secret."
  type        = string
  default     = null
}

variable "unload_role_arn" {
  description = "Role that is attached to the warehouse already, a chain of roles, or `default`; null to have one made and attached."
  type        = string
  default     = null
}

variable "alert_function_arns" {
  description = "Lambda functions that are called when revenue falls."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "email" {
  description = "Address of the team."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds the roles; null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { team = "data" }
  nullable    = false
}
