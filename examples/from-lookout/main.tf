module "connector" {
  source = "../../modules/connector"

  params_json = file("${path.module}/params.json")
}

data "aws_secretsmanager_secret" "redshift" {
  name = module.connector.secret_name
}

module "detector" {
  source = "../.."

  name             = module.connector.name
  description      = module.connector.description
  redshift         = { cluster_identifier = var.cluster_identifier, database = var.database, secret_arn = data.aws_secretsmanager_secret.redshift.arn }
  timestamp_column = module.connector.timestamp_column
  measures         = module.connector.measures
  dimensions       = module.connector.dimensions
  interval         = module.connector.interval
  schedule         = { offset_seconds = module.connector.offset_seconds }
  alerts           = module.connector.alerts

  query = <<-SQL
    select ecommerce.ts as timestamp, ecommerce.views, ecommerce.revenue, platform.name as platform, marketplace.name as marketplace
    from ecommerce, platform, marketplace
    where ecommerce.platform = platform.id
        and ecommerce.marketplace = marketplace.id
        and ecommerce.ts < {{ window_end }}
        and ecommerce.ts >= {{ window_start }}
  SQL
}
