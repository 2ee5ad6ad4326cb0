variable "name" {
  description = "Name of the warehouse, the detector and what belongs to them."
  type        = string
  default     = "demo-shop"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 20
    error_message = "name must be 3-20 lowercase letters, digits and single hyphens, starting with a letter; got ${jsonencode(var.name)}."
  }
}

variable "base_capacity" {
  description = "Capacity of the Serverless workgroup in RPU. `8` costs $3.00 an hour in us-east-1 while statements run, at least a minute each time, and nothing otherwise."
  type        = number
  default     = 8
  nullable    = false

  validation {
    condition     = contains([4, 8, 16, 24, 32, 64, 128], var.base_capacity)
    error_message = "base_capacity must be 4, 8, 16, 24, 32, 64 or 128; got ${var.base_capacity}."
  }
}

variable "cluster" {
  description = <<-EOT
    A provisioned cluster instead of Serverless. It is paid for every hour, whether statements run or not. Defaults to null: Serverless.
    - `node_type` - (Optional) Type of the nodes. Defaults to `ra3.large`, the smallest.
    - `number_of_nodes` - (Optional) Number of nodes. Defaults to `1`.
  EOT
  type = object({
    node_type       = optional(string, "ra3.large")
    number_of_nodes = optional(number, 1)
  })
  default = null
}

variable "cidr_block" {
  description = "Addresses of the private network, /20 or larger."
  type        = string
  default     = "10.71.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.cidr_block, 4, 2)) && try(tonumber(split("/", var.cidr_block)[1]) <= 20, false)
    error_message = "cidr_block must be an IPv4 block of /20 or larger, such as 10.71.0.0/20; got ${jsonencode(var.cidr_block)}."
  }
}

variable "excluded_zone_ids" {
  description = "IDs of Availability Zones that get no subnet: those where Redshift Serverless is not offered. The default is the oldest zone of us-east-1, which lacks many services."
  type        = list(string)
  default     = ["use1-az3"]
  nullable    = false
}

variable "hours_past" {
  description = "Hours of the sample before the load; the default is two years."
  type        = number
  default     = 17544
  nullable    = false

  validation {
    condition     = var.hours_past >= 0 && var.hours_past <= 50000 && floor(var.hours_past) == var.hours_past
    error_message = "hours_past must be a whole number from 0 to 50000; got ${var.hours_past}."
  }
}

variable "hours_ahead" {
  description = "Hours of the sample after the load; the default is two years."
  type        = number
  default     = 17544
  nullable    = false

  validation {
    condition     = var.hours_ahead >= 1 && var.hours_ahead <= 49999 && floor(var.hours_ahead) == var.hours_ahead
    error_message = "hours_ahead must be a whole number from 1 to 49999; got ${var.hours_ahead}."
  }
}

variable "email" {
  description = "Email address that receives alerts and failures; null for none."
  type        = string
  default     = null
}

variable "enabled" {
  description = "Whether the detector crawls on schedule, every hour."
  type        = bool
  default     = true
  nullable    = false
}

variable "history" {
  description = "History that the detector learns from; see the module's input."
  type = object({
    length = optional(string)
    chunk  = optional(string)
  })
  default  = {}
  nullable = false
}

variable "layers" {
  description = "ARNs of the functions' layers; null for the managed ones."
  type        = list(string)
  default     = null
}

variable "tracing" {
  description = "Whether AWS X-Ray traces are recorded."
  type        = bool
  default     = true
  nullable    = false
}

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
