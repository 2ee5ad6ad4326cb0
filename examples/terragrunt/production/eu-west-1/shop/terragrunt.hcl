include "root" {
  path = find_in_parent_folders("root.hcl")
}

include "common" {
  path = find_in_parent_folders("detectors/_common.hcl")
}

include "shop" {
  path = find_in_parent_folders("detectors/shop.hcl")
}
