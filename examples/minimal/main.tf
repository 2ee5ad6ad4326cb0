module "detector" {
  source = "../.."

  name             = "orders"
  redshift         = { cluster_identifier = var.cluster_identifier, database = var.database, secret_arn = var.secret_arn }
  query            = "select ordered_at, country, amount from orders where ordered_at >= {{ window_start }} and ordered_at < {{ window_end }}"
  timestamp_column = { name = "ordered_at" }
  measures         = { amount = {} }
  dimensions       = ["country"]
  interval         = "PT1H"
  alerts           = { unusual = {} }

  subscriptions = {
    alerts     = { me = { protocol = "email", endpoint = var.email } }
    operations = { me = { protocol = "email", endpoint = var.email } }
  }
}
