variable "name" {
  description = "Name of the detector. Every resource name starts with it."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "ID of the AWS account that owns the resources."
  type        = string
  nullable    = false
}

variable "operations_topic_arn" {
  description = "ARN of the operations topic, which the alarms notify."
  type        = string
  nullable    = false
}

variable "machine_arns" {
  description = "ARN of each state machine to monitor, keyed by a name of your choice."
  type        = map(string)
  nullable    = false
}

variable "interval" {
  description = "Length of the detector's intervals, such as `PT1H`."
  type        = string
  nullable    = false
}

variable "silence_intervals" {
  description = "Number of intervals without a score after which the alarm `silence` goes off."
  type        = number
  nullable    = false
}

variable "has_budget" {
  description = "Whether the detector has a budget, which has an alarm then."
  type        = bool
  nullable    = false
}

variable "commit_function_arn" {
  description = "ARN of the function that commits a crawl."
  type        = string
  nullable    = false
}

variable "plan_crawl_function_arn" {
  description = "ARN of the function that plans a crawl."
  type        = string
  nullable    = false
}

variable "deliver_function" {
  description = "Name of the function that delivers alerts and results."
  type        = string
  nullable    = false
}

variable "alerts_topic_name" {
  description = "Name of the alerts topic."
  type        = string
  nullable    = false
}

variable "reconcile_function" {
  description = "Name of the function that starts the pipeline."
  type        = string
  nullable    = false
}

variable "record_failure_function_arn" {
  description = "ARN of the function that records executions that ended without success."
  type        = string
  nullable    = false
}

variable "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  type        = string
  nullable    = false
}

variable "dead_letter_queue_name" {
  description = "Name of the dead-letter queue."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS Region of the resources."
  type        = string
  nullable    = false
}

variable "dashboard" {
  description = "Whether there is a dashboard; the function `console` draws its widgets."
  type        = bool
  nullable    = false
}

variable "function_arns" {
  description = "ARN of each function, by function key."
  type        = map(string)
  nullable    = false
}

variable "function_names" {
  description = "Name of each function, by function key."
  type        = map(string)
  nullable    = false
}

variable "tags" {
  description = "Tags applied to every resource."
  type        = map(string)
  nullable    = false
}
