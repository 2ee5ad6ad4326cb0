locals {
  # One entry per detector; the key is its name. Names, buckets and roles never meet: each is named after its detector.
  detectors = {
    revenue-total      = { measure = "revenue", dimensions = [] }
    revenue-markets    = { measure = "revenue", dimensions = ["marketplace"] }
    revenue-platforms  = { measure = "revenue", dimensions = ["platform"] }
    revenue-everywhere = { measure = "revenue", dimensions = ["platform", "marketplace"] }
    revenue-daily      = { measure = "revenue", dimensions = ["marketplace"], interval = "P1D" }
    views-total        = { measure = "views", dimensions = [] }
    views-markets      = { measure = "views", dimensions = ["marketplace"] }
    views-platforms    = { measure = "views", dimensions = ["platform"] }
    views-everywhere   = { measure = "views", dimensions = ["platform", "marketplace"] }
    views-daily        = { measure = "views", dimensions = ["platform"], interval = "P1D" }
  }

  # Minutes by which each detector starts later than the first, so that they do not all start in the same second.
  delays = { for place, name in sort(keys(local.detectors)) : name => floor(place / var.starts_per_minute) }
}

module "detector" {
  source   = "../.."
  for_each = local.detectors

  name     = "${var.prefix}-${each.key}"
  redshift = var.redshift

  query = <<-SQL
    select ecommerce.ts, ecommerce.${each.value.measure}, platform.name as platform, marketplace.name as marketplace
    from ecommerce
    join platform on platform.id = ecommerce.platform
    join marketplace on marketplace.id = ecommerce.marketplace
    where ecommerce.ts >= {{ window_start }} and ecommerce.ts < {{ window_end }}
  SQL

  timestamp_column = { name = "ts" }
  measures         = { (each.value.measure) = {} }
  dimensions       = each.value.dimensions
  interval         = lookup(each.value, "interval", "PT1H")
  schedule         = { offset_seconds = 300 + 60 * local.delays[each.key], enabled = var.enabled }
  history          = var.history
  alerts           = { unusual = { threshold = 70 } }

  # One place for all alerts and failures.
  subscriptions = {
    alerts     = { team = { protocol = "email", endpoint = var.email } }
    operations = { team = { protocol = "email", endpoint = var.email } }
  }

  lambda  = { layers = var.layers }
  logging = { tracing = var.tracing }
  storage = { force_destroy = var.force_destroy }
}
