include "root" {
  path = find_in_parent_folders("root.hcl")
}

include "common" {
  path = find_in_parent_folders("detectors/_common.hcl")
}

# "deep": maps are merged key by key, so that the unit names only what differs.
include "shop" {
  path           = find_in_parent_folders("detectors/shop.hcl")
  merge_strategy = "deep"
}

inputs = {
  alerts  = { anything = { threshold = 90 } }
  history = { length = "P30D" }
  storage = { force_destroy = true }
}
