output "alerts_topic_arn" {
  description = "ARN of the alerts topic."
  value       = aws_sns_topic.this["alerts"].arn
}

output "operations_topic_arn" {
  description = "ARN of the operations topic."
  value       = aws_sns_topic.this["operations"].arn
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue of what could not be delivered."
  value       = aws_sqs_queue.dead_letters.arn
}

output "dead_letter_queue_name" {
  description = "Name of the queue of what could not be delivered."
  value       = aws_sqs_queue.dead_letters.name
}

output "dead_letter_queue_url" {
  description = "URL of the queue of what could not be delivered."
  value       = aws_sqs_queue.dead_letters.id
}
