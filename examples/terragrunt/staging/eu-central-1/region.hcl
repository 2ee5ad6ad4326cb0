locals {
  name       = "eu-central-1"
  subnet_ids = ["subnet-0a1b2c3d4e5f60003", "subnet-0a1b2c3d4e5f60004"]

  # Given by ARN, as a Region without the public parameters needs it (layers.toml has the versions).
  layers = ["arn:aws:lambda:eu-central-1:222222222222:layer:detector-python:3"]
}
