include "root" {
  path = find_in_parent_folders("root.hcl")
}

include "common" {
  path = find_in_parent_folders("detectors/_common.hcl")
}

inputs = {
  name             = "orders"
  query            = file("query.sql")
  timestamp_column = { name = "ordered_at", timezone = "Europe/Berlin" }
  interval         = "P1D"
  schedule         = { timezone = "Europe/Berlin", offset_seconds = 7200 }
  measures         = { orders = { aggregation = "COUNT" } }
  dimensions       = ["country"]
  alerts           = { fewer = { threshold = 70 } }
}
