output "crawl_arn" {
  description = "ARN of the state machine that crawls what is due."
  value       = aws_sfn_state_machine.crawl.arn
}

output "schedule_name" {
  description = "Name of the schedule."
  value       = aws_scheduler_schedule.crawl.name
}

output "schedule_group_name" {
  description = "Name of the schedule's group."
  value       = aws_scheduler_schedule_group.this.name
}

output "schedule_expression" {
  description = "When the schedule runs, in the detector's time zone."
  value       = aws_scheduler_schedule.crawl.schedule_expression
}
