variable "cluster_identifier" {
  description = "Identifier of the Redshift cluster, `dbClusterIdentifier` in the connector's secret."
  type        = string
  nullable    = false
}

variable "database" {
  description = "Name of the database, `db` in the connector's secret."
  type        = string
  nullable    = false
}
