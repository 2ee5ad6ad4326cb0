output "alerts_topic_arn" {
  description = "ARN of the alerts topic."
  value       = aws_sns_topic.this["alerts"].arn
}

output "alerts_topic_name" {
  description = "Name of the alerts topic."
  value       = aws_sns_topic.this["alerts"].name
}

output "operations_topic_arn" {
  description = "ARN of the operations topic."
  value       = aws_sns_topic.this["operations"].arn
}

output "operations_topic_name" {
  description = "Name of the operations topic."
  value       = aws_sns_topic.this["operations"].name
}

output "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.arn
}

output "dead_letter_queue_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.name
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.id
}
