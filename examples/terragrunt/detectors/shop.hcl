# The detector "shop", the same in every account; a unit overrides what differs.
inputs = {
  name             = "shop"
  query            = file(find_in_parent_folders("detectors/shop.sql"))
  timestamp_column = { name = "ts" }
  interval         = "PT1H"

  measures = {
    views   = {}
    revenue = { direction = "down", min_relative_change = 0.1 }
  }
  dimensions = ["platform", "marketplace"]

  alerts = {
    anything = { threshold = 60 }
  }
}
