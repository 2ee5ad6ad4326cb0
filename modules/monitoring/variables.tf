variable "name" {
  description = "Name of the detector; the beginning of every resource's name."
  type        = string
  nullable    = false
}

variable "operations_topic_arn" {
  description = "ARN of the topic that alarms are published to."
  type        = string
  nullable    = false
}

variable "machine_arns" {
  description = "ARN of each state machine whose executions are watched, by any key."
  type        = map(string)
  nullable    = false
}

variable "reconcile_function" {
  description = "Name of the function that starts the pipeline."
  type        = string
  nullable    = false
}

variable "dead_letter_queue_name" {
  description = "Name of the queue of what could not be delivered."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
