locals {
  name       = "eu-west-1"
  subnet_ids = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]

  # The managed layers are looked up.
  layers = null
}
