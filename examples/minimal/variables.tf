variable "cluster_identifier" {
  description = "Redshift cluster that holds the table `orders`."
  type        = string
  nullable    = false
}

variable "database" {
  description = "Database of the cluster."
  type        = string
  default     = "dev"
  nullable    = false
}

variable "secret_arn" {
  description = "Secret with `username` and `password`; null to sign in as the function's IAM role."
  type        = string
  default     = null
}

variable "email" {
  description = "Address that alerts are sent to, once its owner has confirmed."
  type        = string
  nullable    = false
}
