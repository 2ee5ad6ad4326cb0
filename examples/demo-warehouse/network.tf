# A private network: no gateway to the internet. Redshift reaches S3 through the gateway endpoint (enhanced VPC routing), and the Data API
# reaches the warehouse through the service itself.
data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:A zone that AWS adds changes nothing: subnets keep the zone in which they were made.
  state            = "available"
  exclude_zone_ids = var.excluded_zone_ids

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.names) >= local.zones_needed
      error_message = <<-EOT
        ${var.cluster == null ? "Redshift Serverless" : "Redshift"} needs subnets in ${local.zones_needed} Availability Zones, and region ${local.region} has ${length(self.names)}: ${jsonencode(self.names)}${length(var.excluded_zone_ids) == 0 ? "" : ", without ${jsonencode(var.excluded_zone_ids)}"}.
        Choose another region${var.cluster == null ? ", or a provisioned cluster (cluster = {}), for which one zone is enough" : ""}.
      EOT
    }
  }
}

data "aws_region" "current" {}

locals {
  # Provider 5 has no attribute `region`, and 6.47 deprecates `id`: lookup() neither fails nor warns.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "id", null))

  # Serverless takes three subnets in three zones; in us-west-1, which shows an account two, one of them holds two subnets.
  zones_needed = var.cluster != null ? 1 : local.region == "us-west-1" ? 2 : 3
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:A demonstration without instances; flow logs cost more than the warehouse.
  cidr_block           = var.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Nothing may use the default group.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = var.tags
}

# Redshift Serverless needs three. Where there are fewer zones than subnets, the first zones hold two.
resource "aws_subnet" "this" {
  count = 3

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(var.cidr_block, 4, count.index)
  availability_zone = element(data.aws_availability_zones.available.names, count.index)
  tags              = merge(var.tags, { Name = "${var.name}-${count.index}" })

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_route_table_association" "this" {
  count = 3

  subnet_id      = aws_subnet.this[count.index].id
  route_table_id = aws_route_table.this.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.this.id]
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}

# Nobody connects; the warehouse itself speaks to S3 only.
resource "aws_security_group" "warehouse" {
  name        = "${var.name}-warehouse"
  description = "Redshift: no connection in, S3 out."
  vpc_id      = aws_vpc.this.id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.warehouse.id
  description       = "S3, through the gateway endpoint."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  tags              = var.tags
}
