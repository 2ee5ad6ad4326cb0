variable "name" {
  description = "Name of the detector."
  type        = string
  default     = "orders"
  nullable    = false
}

variable "warehouse_deploy_role_arn" {
  description = "ARN of a role in the warehouse's account that Terraform assumes to create the access role and to add a policy to the attached one."
  type        = string
  nullable    = false
}

variable "cluster_identifier" {
  description = "Identifier of the Redshift cluster in that account, which holds the table `orders`."
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
  description = "ARN of a secret in the warehouse's account; null to sign in as the database user `IAMR:<name>-warehouse-access`. The access role needs `kms:Decrypt` on a customer managed key of the secret."
  type        = string
  default     = null
}

variable "attached_role_arn" {
  description = "ARN of a role that is attached to the cluster. Terraform adds a policy that lets it assume the writer."
  type        = string
  nullable    = false
}

variable "external_id" {
  description = "External ID that the access role requires."
  type        = string
  nullable    = false
}

variable "email" {
  description = "Email address that receives alerts and failures."
  type        = string
  nullable    = false
}
