# ARNs of resources in other modules, built from names because the roles are created before them.
locals {
  log_group_prefix = "arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:"
  function_arns = {
    for key in keys(local.functions) :
    key => "arn:${var.partition}:lambda:${var.region}:${var.account_id}:function:${var.name}-${replace(key, "_", "-")}"
  }
  machine_arns = {
    for key in ["statement", "pipeline", "crawl"] :
    key => "arn:${var.partition}:states:${var.region}:${var.account_id}:stateMachine:${var.name}-${key}"
  }
  execution_arns = {
    for key in ["statement", "pipeline", "crawl"] :
    key => "arn:${var.partition}:states:${var.region}:${var.account_id}:execution:${var.name}-${key}:*"
  }
}

# The warehouse.
locals {
  is_cluster = var.redshift.cluster_identifier != null
  # The account of the warehouse.
  warehouse_account_id = var.redshift.role_arn == null ? var.account_id : split(":", var.redshift.role_arn)[4]
  cluster_arn = format(
    "arn:%s:redshift:%s:%s:cluster:%s",
    var.partition, var.region, local.warehouse_account_id, coalesce(var.redshift.cluster_identifier, "-"),
  )
  # Resource that statements run on. The ARN of a workgroup ends in a generated ID, not in its name.
  warehouse_arn = local.is_cluster ? local.cluster_arn : var.redshift.serverless.workgroup_arn

  # AWS's documentation of this condition names a workgroup by its name, where its ARN has the id.
  unload_source_arns = local.is_cluster ? [local.cluster_arn] : [
    local.warehouse_arn,
    var.redshift.serverless.namespace_arn,
    "arn:${var.partition}:redshift-serverless:${var.region}:${var.account_id}:workgroup/${coalesce(var.redshift.workgroup_name, "-")}",
  ]

  unload_principals = (
    local.is_cluster ? ["redshift.amazonaws.com"] : ["redshift-serverless.amazonaws.com", "redshift.amazonaws.com"]
  )
}
