# ARNs that are known only after apply, as in a configuration that makes warehouse, key and topics itself.
resource "terraform_data" "arn" {
  for_each = toset([
    "bucket", "table", "alerts", "operations", "queue", "key", "secret", "secret_key", "boundary", "topic", "function",
    "workgroup", "namespace", "role", "topic_key", "bus", "slack",
  ])

  input = each.key
}

module "iam" {
  source = "../../../modules/iam"

  name       = "shop"
  partition  = "aws"
  region     = "eu-west-1"
  account_id = "111122223333"
  iam = {
    path                     = "/"
    permissions_boundary_arn = terraform_data.arn["boundary"].output
  }
  bucket_arn                 = terraform_data.arn["bucket"].output
  table_arn                  = terraform_data.arn["table"].output
  encryption                 = { kms_key_arn = terraform_data.arn["key"].output }
  alerts_topic_arn           = terraform_data.arn["alerts"].output
  operations_topic_arn       = terraform_data.arn["operations"].output
  alert_sns_topic_arns       = [terraform_data.arn["topic"].output]
  alert_lambda_function_arns = [terraform_data.arn["function"].output]
  alert_event_bus_arns       = [terraform_data.arn["bus"].output]
  alert_secret_arns          = [terraform_data.arn["slack"].output]
  alert_kms_key_arns         = [terraform_data.arn["topic_key"].output]
  dead_letter_queue_arn      = terraform_data.arn["queue"].output
  console                    = true
  unload_role                = { create = true }
  tracing                    = true
  tags                       = {}
  redshift = {
    cluster_identifier = "warehouse"
    database           = "sales"
    secret_arn         = terraform_data.arn["secret"].output
    secret_kms_key_arn = terraform_data.arn["secret_key"].output
  }
}

module "serverless" {
  source = "../../../modules/iam"

  name                       = "shop"
  partition                  = "aws"
  region                     = "eu-west-1"
  account_id                 = "111122223333"
  iam                        = { path = "/" }
  bucket_arn                 = terraform_data.arn["bucket"].output
  table_arn                  = terraform_data.arn["table"].output
  encryption                 = null
  alerts_topic_arn           = terraform_data.arn["alerts"].output
  operations_topic_arn       = terraform_data.arn["operations"].output
  alert_sns_topic_arns       = []
  alert_lambda_function_arns = []
  alert_event_bus_arns       = []
  alert_secret_arns          = []
  alert_kms_key_arns         = []
  dead_letter_queue_arn      = terraform_data.arn["queue"].output
  console                    = true
  unload_role                = { create = true }
  tracing                    = true
  tags                       = {}
  redshift = {
    workgroup_name = terraform_data.arn["workgroup"].output
    database       = "sales"
    serverless = {
      workgroup_arn = terraform_data.arn["workgroup"].output
      namespace_arn = terraform_data.arn["namespace"].output
      iam_role_arns = [terraform_data.arn["role"].output]
    }
  }
}
